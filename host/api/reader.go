package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// slowReader is how long a reader of an answer may take nothing, and slowest how many times as long it may take for all.
const (
	slowReader = 30 * time.Second
	slowest    = 20
)

// bounded cuts off readers that take nothing for too long: what they are owed stays in memory meanwhile. Over HTTP/2 an answer of
// one message is not flushed before it is complete.
func bounded(next http.Handler, patience time.Duration) http.Handler {
	whole := wholeAnswers()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &patientWriter{
			ResponseWriter: w, call: callOf(r.Context()), control: http.NewResponseController(w), patience: patience, last: time.Now().Add(slowest * patience),
			whole: r.ProtoMajor == 2 && whole[r.URL.Path],
		}
		if p.whole && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			// net/http would announce the length of an answer that it has all of, which who speaks gRPC does not expect.
			w.Header()["Content-Length"] = nil
		}
		next.ServeHTTP(p, r)
	})
}

// wholeAnswers returns the paths of the procedures whose answers are one message.
func wholeAnswers() map[string]bool {
	whole := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage(tandemv1.File_tandem_v1_inference_proto.Package(), func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				whole[fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())] = !m.IsStreamingServer()
			}
		}
		return true
	})
	return whole
}

// patientWriter gives each write a deadline.
type patientWriter struct {
	http.ResponseWriter
	call     *call
	control  *http.ResponseController
	patience time.Duration
	set      time.Time // when the deadline was set last
	last     time.Time // when all must be written
	whole    bool      // the answer is one message
}

// patient sets the deadline of a write that begins now.
func (w *patientWriter) patient() {
	now := time.Now()
	if !stale(w.set, now, w.patience) {
		return
	}
	w.set = now
	// A server that knows no deadlines, as in tests without a network, has no reader that could be slow.
	_ = w.control.SetWriteDeadline(earlier(now.Add(w.patience), w.last))
}

// Write writes within the deadline. Others may compute meanwhile.
func (w *patientWriter) Write(b []byte) (int, error) {
	w.call.exchange.Rest()
	w.patient()
	return w.ResponseWriter.Write(b)
}

// FlushError flushes within the deadline. An answer of one message goes out when it is complete: its head, its data and its
// trailers then take one write to the connection, not two.
func (w *patientWriter) FlushError() error {
	w.patient()
	if w.whole {
		return nil
	}
	return w.control.Flush()
}

// Flush implements http.Flusher.
func (w *patientWriter) Flush() { _ = w.FlushError() } // Write reports what is wrong

// Unwrap lets http.ResponseController reach the rest.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
