package batch_test

import (
	gocmp "cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

var update = flag.Bool("update", false, "write what happens into the scripts")

// TestScripts runs the scripts in testdata on a fake clock: what comes when above the line, what happens below it.
//
//	config rows=4 delay=10ms queue=8 runs=1   the Batcher
//	model base=10ms row=1ms                   how long a run takes
//	5ms a 2x3 tenant=x high by=20ms leave=8ms  at 5 ms request a comes: 2 rows of width 3; its deadline is 20 ms after that,
//	                                          its caller leaves 8 ms after that
//	5ms bad 2x3                               requests whose name begins with bad make every run that they are in fail
//	30ms close
//
// Below the line "run" tells rows of whom are in a run, "ok" and others who got which answer.
func TestScripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(text), "----\n")
			var got string
			synctest.Test(t, func(t *testing.T) { got = play(t, script) })
			if *update {
				if err := os.WriteFile(path, []byte(script+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what happens (-want +got):\n%s", diff)
			}
		})
	}
}

// stage is where a script is played.
type stage struct {
	*testing.T
	config    batch.Config
	base, row time.Duration
	start     time.Time
	batcher   *batch.Batcher
	inner     *fake.Runner
	callers   sync.WaitGroup

	mu    sync.Mutex // mu guards the following
	names []string
	log   []event
}

// event is a line of what happens. Answers that come at the same time have no order.
type event struct {
	at   time.Duration
	name string // of the request, for an answer
	text string
}

func play(t *testing.T, script string) string {
	t.Helper()
	s := &stage{T: t, start: time.Now()}
	s.config.OnBatch = func(b batch.Batch) {
		result := ""
		if b.Err != nil {
			result = " failed"
		}
		s.say("ran %d rows of %d, %v%s", b.Rows, b.Requests, b.Reason, result)
	}
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch words[0] {
		case "config", "model":
			for _, w := range words[1:] {
				s.set(w)
			}
		default:
			s.at(words)
		}
	}
	s.callers.Wait()
	if err := s.batcher.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.inner.Lent(); n != 0 {
		t.Errorf("%d outputs were not released", n)
	}
	if w := s.batcher.Stats(); w.Waiting != 0 || w.WaitingRows != 0 || w.Running != 0 {
		t.Errorf("left over: %+v", w)
	}
	slices.SortStableFunc(s.log, func(a, b event) int {
		return gocmp.Or(gocmp.Compare(a.at, b.at), gocmp.Compare(a.name, b.name))
	})
	var text strings.Builder
	for _, e := range s.log {
		fmt.Fprintf(&text, "%v: %s\n", e.at, e.text)
	}
	return text.String()
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, event{at: time.Since(s.start), text: fmt.Sprintf(format, args...)})
}

func (s *stage) sayAnswer(name, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, event{time.Since(s.start), name, name + ": " + answer})
}

func (s *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.Fatal(err)
	}
	return d
}

func (s *stage) set(word string) {
	key, value, _ := strings.Cut(word, "=")
	number := func() int {
		n, err := strconv.Atoi(value)
		if err != nil {
			s.Fatal(err)
		}
		return n
	}
	switch key {
	case "rows":
		s.config.MaxRows = number()
	case "queue":
		s.config.MaxQueueRows = number()
	case "runs":
		s.config.Concurrency = number()
	case "delay":
		s.config.MaxDelay = s.duration(value)
	case "base":
		s.base = s.duration(value)
	case "row":
		s.row = s.duration(value)
	default:
		s.Fatalf("what is %q?", word)
	}
}

// at makes a request, or closes the Batcher, when its time has come.
func (s *stage) at(words []string) {
	if s.batcher == nil {
		s.inner = fake.New(s.script())
		s.batcher = batch.New(s.inner, s.config)
	}
	time.Sleep(s.duration(words[0]) - time.Since(s.start))
	synctest.Wait()
	if words[1] == "close" {
		s.callers.Go(func() {
			err := s.batcher.Close()
			s.say("closed, %v", err)
		})
		synctest.Wait()
		return
	}
	name := words[1]
	s.mu.Lock()
	s.names = append(s.names, name)
	id := float32(len(s.names))
	s.mu.Unlock()
	rowsText, widthText, _ := strings.Cut(words[2], "x")
	rows, err := strconv.Atoi(rowsText)
	width, err2 := strconv.Atoi(widthText)
	if err := errors.Join(err, err2); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := s.caller(words[3:])
	values := slices.Repeat([]float32{id}, rows*width)
	in := []runners.Tensor{runnertest.FP32([]int64{int64(rows), int64(width)}, values...)}
	s.callers.Go(func() {
		defer cancel()
		out := make([]runners.Tensor, 1)
		err := s.batcher.Run(ctx, in, out)
		s.sayAnswer(name, s.answer(err, out, in))
		out[0].Release()
	})
	synctest.Wait()
}

func (s *stage) caller(words []string) (context.Context, context.CancelFunc) {
	caller := batch.Caller{}
	by, leave := time.Duration(1<<62), time.Duration(1<<62)
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "tenant":
			caller.Tenant = value
		case "high":
			caller.Priority = batch.High
		case "low":
			caller.Priority = batch.Low
		case "by":
			by = s.duration(value)
		case "leave":
			leave = s.duration(value)
		default:
			s.Fatalf("what is %q?", w)
		}
	}
	ctx, cancel := context.WithCancel(batch.WithCaller(s.Context(), caller))
	timer := time.AfterFunc(leave, cancel)
	stop := func() { timer.Stop(); cancel() }
	if by == 1<<62 {
		return ctx, stop
	}
	late, cancelLate := context.WithTimeout(ctx, by)
	return late, func() { cancelLate(); stop() }
}

func (s *stage) answer(err error, out, in []runners.Tensor) string {
	var refused *batch.RefusedError
	switch {
	case errors.As(err, &refused):
		return "refused, " + refused.Reason + ", retry after " + refused.RetryAfter.String()
	case errors.Is(err, context.Canceled):
		return "left"
	case errors.Is(err, context.DeadlineExceeded):
		return "late"
	case errors.Is(err, runners.ErrClosed):
		return "closed"
	case err != nil:
		return err.Error()
	}
	want := runnertest.Floats(in[0])
	for i := range want {
		want[i] *= 2
	}
	if diff := cmp.Diff(want, runnertest.Floats(out[0])); diff != "" {
		return "WRONG ANSWER " + diff
	}
	return "ok"
}

// script is a model that doubles its input. Rows carry the number of the request they are of.
func (s *stage) script() fake.Script {
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1}}
	return fake.Script{
		Signature: runners.Signature{
			Inputs:  []runners.Port{{Name: "x", DType: runners.FP32, Dims: dims}},
			Outputs: []runners.Port{{Name: "y", DType: runners.FP32, Dims: dims}},
		},
		Takes: func(in []runners.Tensor) time.Duration {
			s.say("run %s", strings.Join(s.riders(in[0]), " "))
			return s.base + s.row*time.Duration(in[0].Shape[0])
		},
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			for _, name := range s.riders(in[0]) {
				if strings.HasPrefix(name, "bad") {
					return nil, fmt.Errorf("%w: bad rows", runners.ErrRun)
				}
			}
			values := runnertest.Floats(in[0])
			for i := range values {
				values[i] *= 2
			}
			return []runners.Tensor{runnertest.FP32(slices.Clone(in[0].Shape), values...)}, nil
		},
	}
}

// riders names the request of each row.
func (s *stage) riders(x runners.Tensor) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	width := int(x.Shape[1])
	for i, id := range runnertest.Floats(x) {
		if i%width == 0 {
			names = append(names, s.names[int(id)-1])
		}
	}
	return names
}
