package api

import "net/http"

// stackBytes is how much of the stack a call needs, about: a goroutine of net/http begins with 2 to 8 KiB, and growing that to
// 32 KiB under the layers of a call copies all frames up to four times.
const stackBytes = 16 << 10

// roomy calls next with a stack that need not grow.
func roomy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deepen(len(r.Method))
		next.ServeHTTP(w, r)
	})
}

// deepen has the runtime make room for a frame of stackBytes while there are few frames to copy.
//
//go:noinline
func deepen(i int) byte {
	var room [stackBytes]byte
	return room[i%stackBytes]
}
