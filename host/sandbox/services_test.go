package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	gostrings "strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/value"
)

// recorder is services that note what a guest did.
type recorder struct {
	mu      sync.Mutex
	logs    []string
	records []string
	metrics []string
}

func (r *recorder) services(m sandbox.Models) sandbox.Services {
	return sandbox.Services{
		Record: func(_ context.Context, stream string, doc []byte) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.records = append(r.records, stream+" "+string(doc))
			return nil
		},
		Log: func(_ context.Context, level slog.Level, text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.logs = append(r.logs, level.String()+" "+text)
		},
		Metric: func(_ context.Context, kind sandbox.MetricKind, name string, v float64) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.metrics = append(r.metrics, fmt.Sprint(kind, " ", name, " ", v))
		},
		Models: m,
	}
}

// fakeModels has a model "ok" that answers with its inputs, "slow" that waits for its context, and "bad" that fails.
type fakeModels struct {
	mu      sync.Mutex
	running int
	most    int
	last    []byte // of the outputs that were made
}

func (m *fakeModels) Open(_ context.Context, name string) (int, error) {
	switch name {
	case "ok":
		return 10, nil
	case "slow":
		return 20, nil
	case "bad":
		return 30, nil
	case "secret":
		return 0, fmt.Errorf("model %q: %w", name, sandbox.ErrDenied)
	default:
		return 0, fmt.Errorf("model %q: %w", name, sandbox.ErrNotFound)
	}
}

func (m *fakeModels) Run(ctx context.Context, model int, in []sandbox.ModelValue) ([]sandbox.ModelValue, error) {
	m.mu.Lock()
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.running--
		m.mu.Unlock()
	}()
	switch model {
	case 20:
		<-ctx.Done()
		return nil, ctx.Err()
	case 30:
		return nil, errors.New("the model broke")
	}
	out := make([]sandbox.ModelValue, len(in))
	for i := range in {
		out[i] = in[i]
		out[i].Value.Data = append([]byte(nil), in[i].Value.Data...)
		out[i].Name = fmt.Sprint("out", i)
		m.mu.Lock()
		m.last = out[i].Value.Data
		m.mu.Unlock()
	}
	return out, nil
}

func TestWildHostCalls(t *testing.T) {
	const notFound, badPtr, tooLarge, quota, deadline, denied = -1, -2, -3, -4, -5, -6
	tests := map[int32]int64{
		0: 0, 1: badPtr, 2: notFound, 3: badPtr, 4: 5, 5: badPtr, 6: notFound, 7: notFound, 8: badPtr, 9: badPtr, 10: badPtr,
		11: tooLarge, 12: 0, 13: badPtr, 14: denied, 15: tooLarge, 16: notFound, 17: badPtr, 18: badPtr, 19: tooLarge, 20: badPtr,
		21: tooLarge, 22: notFound, 23: notFound, 24: notFound, 25: 0, 26: badPtr, 27: notFound, 28: notFound, 29: notFound,
		30: badPtr, 31: tooLarge, 32: tooLarge, 33: badPtr, 34: badPtr, 35: badPtr, 36: badPtr, 37: notFound, 38: quota,
		40: quota, 41: notFound, 42: quota, 43: quota, 44: 21, 45: 21, 46: 8, 47: 21, 48: 21, 49: 28, 50: deadline,
	}
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	models := &fakeModels{}
	for mode, want := range tests {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			var rec recorder
			r, err := hostile(t.Context(), p, "host", mode, rec.services(models))
			if err != nil {
				t.Fatal(err)
			}
			if got := int64of(t, r.Outputs[0]); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
			if n := len(rec.records); n > 1000 {
				t.Errorf("%d records passed, want at most 1000", n)
			}
			if n := len(rec.metrics); n > 1000 {
				t.Errorf("%d metrics passed, want at most 1000", n)
			}
			if n := len(rec.logs); n > 257 {
				t.Errorf("%d log lines passed, want at most 256 and a note", n)
			}
			wantAlive(t, p)
		})
	}
	if models.running != 0 {
		t.Errorf("%d models still run after their calls", models.running)
	}
	if models.most > 64 {
		t.Errorf("%d models ran at once, want at most 64", models.most)
	}
}

func TestDeniedServices(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "hostile")
	for mode, want := range map[int32]int64{12: -6, 14: -6, 16: -1} {
		r, err := hostile(t.Context(), p, "host", mode, sandbox.Services{})
		if err != nil || int64of(t, r.Outputs[0]) != want {
			t.Errorf("mode %d: got %v, %v, want %d", mode, r, err, want)
		}
	}
}

// A guest that waits for a model stops at its deadline and when its host closes.
func TestWaitingGuest(t *testing.T) {
	for _, mode := range []int32{51, 52} {
		h := newHost(t, sandbox.Config{})
		p := load(t, h, "hostile")
		var rec recorder
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := hostile(ctx, p, "host", mode, rec.services(&fakeModels{}))
		cancel()
		wantError(t, err, sandbox.KindDeadline, "", "ran out of time")

		time.AfterFunc(30*time.Millisecond, func() { _ = h.Close(context.WithoutCancel(t.Context())) })
		_, err = hostile(t.Context(), p, "host", mode, rec.services(&fakeModels{}))
		wantError(t, err, sandbox.KindClosed, "", "closing")
		if !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestLogQuota(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{MaxLogLines: 10, MaxLogBytes: 700}), "hostile")
	for _, mode := range []int32{8, 10} {
		var rec recorder
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := hostile(ctx, p, "spin", mode, rec.services(nil))
		cancel()
		wantError(t, err, sandbox.KindDeadline, "", "")
		n := 0
		for _, l := range rec.logs {
			n += len(l)
		}
		if len(rec.logs) > 11 || n > 1000 {
			t.Errorf("mode %d: %d lines of %d bytes passed, want at most 10 of 700 and a note", mode, len(rec.logs), n)
		}
		if last := rec.logs[len(rec.logs)-1]; !gostrings.Contains(last, "were dropped") {
			t.Errorf("mode %d: the last line is %q, want a count of what was dropped", mode, last)
		}
	}
}

// orchestrate tests model calls that go well, through the services plugin.
func TestModels(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "services")
	x := value.Tensor(abi.FP32, []int64{2}, floats(1, 2))
	for _, function := range []string{"run", "run_bound", "fan_out", "pass_handle", "opened_in_init"} {
		t.Run(function, func(t *testing.T) {
			var rec recorder
			for range 3 { // handles and tickets end with their call
				c := sandbox.Call{Function: function, Inputs: []value.Value{x}, Services: rec.services(&fakeModels{}), With: []byte(`{"model":"ok"}`)}
				r, err := p.Call(t.Context(), c)
				if err != nil {
					t.Fatal(err, rec.logs)
				}
				r.Release()
				if got := r.Outputs[0]; got.Describe() != "tensor FP32 [2]" || string(got.Data) != string(x.Data) {
					t.Fatalf("got %s %v, want what went in", got.Describe(), got.Data)
				}
			}
		})
	}
	var rec recorder
	c := sandbox.Call{Function: "run", Inputs: []value.Value{x}, Services: rec.services(&fakeModels{}), With: []byte(`{"model":"bad"}`)}
	_, err := p.Call(t.Context(), c)
	wantError(t, err, sandbox.KindGuest, "", "model_run failed")
	if len(rec.logs) != 1 || !gostrings.Contains(rec.logs[0], "the model broke") {
		t.Errorf("got logs %q, want the model's error", rec.logs)
	}
}

// A model's output that a plugin passes on by its handle is the model's own memory, and an output that the host laid out
// beforehand is the guest's: neither is copied.
func TestOutputsAreNotCopied(t *testing.T) {
	h, models := newHost(t, sandbox.Config{}), &fakeModels{}
	var rec recorder
	for _, c := range []struct {
		plugin, function string
		in               value.Value
	}{
		{"services", "pass_handle", value.Tensor(abi.FP32, []int64{2}, floats(1, 2))},
		{"values", "normalise", tensorOf(abi.UINT8, 5, 7, 3)},
	} {
		r, err := load(t, h, c.plugin).Call(t.Context(), sandbox.Call{
			Function: c.function, Inputs: []value.Value{c.in}, Services: rec.services(models), With: []byte(`{"model":"ok"}`), Lease: true,
		})
		if err != nil {
			t.Fatal(err, rec.logs)
		}
		if r.BytesOut != 0 {
			t.Errorf("%s: %d bytes were copied out, want 0", c.function, r.BytesOut)
		}
		if c.function == "pass_handle" && &r.Outputs[0].Data[0] != &models.last[0] {
			t.Error("the output is not what the model made, but a copy")
		}
		r.Release()
	}
}

func TestServices(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "services")
	var rec recorder
	c := sandbox.Call{Function: "talk", Services: rec.services(nil), With: []byte(`{"model":"ok","n":[1, 2]}`), RequestID: 7}
	r, err := p.Call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	wantLogs := []string{"DEBUG quiet", "ERROR loud", "INFO one", "INFO two", "ERROR part"}
	if got := fmt.Sprint(rec.logs); got != fmt.Sprint(wantLogs) {
		t.Errorf("got logs %q, want %q", rec.logs, wantLogs)
	}
	if got, want := fmt.Sprint(rec.records), `[pairs {"equal":true}]`; got != want {
		t.Errorf("got records %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(rec.metrics), `[0 seen 1 2 ms 2.5]`; got != want {
		t.Errorf("got metrics %s, want %s", got, want)
	}
	if got, want := string(r.Outputs[0].Data), `ok [1, 2]`; got != want {
		t.Errorf("got configuration %q, want %q", got, want)
	}
}

// Randomness is a function of plugin, configuration and request, and time stands in steps.
func TestAmbient(t *testing.T) {
	p := load(t, newHost(t, sandbox.Config{}), "services")
	ask := func(id uint64, with string) string {
		r, err := p.Call(t.Context(), sandbox.Call{Function: "random", RequestID: id, With: []byte(with)})
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
		return string(r.Outputs[0].Data)
	}
	const a, b = `{"model":"ok"}`, `{"model":"ok" }`
	if first, again := ask(1, a), ask(1, a); first != again {
		t.Error("the same request sees other random bytes")
	}
	if ask(1, a) == ask(2, a) || ask(1, a) == ask(1, b) {
		t.Error("other requests see the same random bytes")
	}
	began := time.Now()
	r := call(t, p, "sleep")
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("a sleep of an hour took %v", d)
	}
	if got := int64of(t, r.Outputs[0]); got < int64(time.Hour) || got > int64(time.Hour+time.Minute) || got%int64(time.Millisecond) != 0 {
		t.Errorf("the clock moved by %v, want an hour in whole milliseconds", time.Duration(got))
	}
}

// What calls are told to have used adds up to what their tenant is charged, the start of instances and the host's work included,
// whether calls go well or not.
func TestSpendAddsUp(t *testing.T) {
	h := newHost(t, sandbox.Config{})
	p := loadFor(t, h, "a", "values")
	loaded := h.CoreTime("a") // describing it
	var core time.Duration
	var fuel uint64
	s := sandbox.Services{Spend: func(n uint64, d time.Duration) error {
		fuel, core = fuel+n, core+d
		return nil
	}}
	in := everyKind()
	// Within a turn, and beside it, but small enough that the instance is freed before the call returns.
	for _, size := range []int{100, 300 << 10} {
		in[0] = value.Tensor(abi.UINT8, []int64{int64(size)}, make([]byte, size))
		r, err := p.Call(t.Context(), sandbox.Call{Function: "copy", Inputs: in, Services: s})
		if err != nil {
			t.Fatal(err)
		}
		r.Release()
		if r.CPU <= 0 || r.Fuel == 0 {
			t.Errorf("a call that copies %d bytes used %v and %d units of fuel, want some", size, r.CPU, r.Fuel)
		}
	}
	in = everyKind() // small: a large memory is freed aside, and its call is not told
	if _, err := p.Call(t.Context(), sandbox.Call{Function: "copy", Inputs: in, Services: s, MaxFuel: 10}); err == nil {
		t.Error("a call without fuel went well")
	}
	if got := h.CoreTime("a") - loaded; core != got || core <= 0 || fuel == 0 {
		t.Errorf("calls were told of %v and %d units of fuel, and the tenant was charged %v", core, fuel, got)
	}
}
