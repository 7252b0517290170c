package usage

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzHour reads stored hours. What is read lies within its hour, and is read the same when it is written again.
func FuzzHour(f *testing.F) {
	for _, s := range []string{`{"minutes":{"0":{"requests":1},"59":{"fuel":18446744073709551615}}}`, `{"minutes":{"60":{}}}`, `{"minutes":{"-1":{}}}`, `{}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := decodeHour(data)
		if err != nil {
			return
		}
		for minute := range h.Minutes {
			if minute < 0 || minute >= 60 {
				t.Errorf("minute %d", minute)
			}
		}
		again, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeHour(again)
		if diff := cmp.Diff(h, back); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}
