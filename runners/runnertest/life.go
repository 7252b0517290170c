package runnertest

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/runners"
)

// soon is how late a run may end that has to end at once. The contract says 50 ms; a busy machine may be later.
const soon = 2 * time.Second

// forever is a number of steps that no test waits for.
const forever = math.MaxInt32

func (t suite) testDoneBefore() {
	r := t.newAddSub()
	in, _ := addSubCase(1, 1)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	for want, ctx := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late} {
		if err := r.Run(ctx, in, make([]runners.Tensor, 2)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := addSub(t.T, r, 1, 1); err != nil {
		t.Fatalf("a good run after ended ones: %v", err)
	}
}

// slow runs steps steps on a matrix that stays what it is.
func slow(ctx context.Context, r runners.Runner, steps int64) ([]runners.Tensor, error) {
	out := make([]runners.Tensor, 1)
	return out, r.Run(ctx, []runners.Tensor{INT64([]int64{}, steps), identity(1)}, out)
}

func (t suite) testCancelled() {
	r := closing(t.T, t.Slow(t.T))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		deadline, _ := ctx.Deadline()
		_, err := slow(ctx, r, forever)
		late := time.Since(deadline)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want context.DeadlineExceeded", err)
		}
		if late > soon {
			t.Fatalf("the run ended %v after its deadline", late)
		}
		t.Logf("ended %v after its deadline", late)
		out, err := slow(t.Context(), r, 3)
		if err != nil {
			t.Fatalf("a good run after a cancelled one: %v", err)
		}
		if diff := cmp.Diff(Floats(identity(1)), Floats(out[0])); diff != "" {
			t.Fatalf("a good run after a cancelled one (-want +got):\n%s", diff)
		}
		out[0].Release()
	}
}

// One caller's end must not end another's run, whenever it comes.
func (t suite) testCancelledAmongOthers() {
	r := closing(t.T, t.Slow(t.T))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*g%7)*time.Millisecond)
				_, err := slow(ctx, r, forever)
				if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, runners.ErrOverloaded) {
					t.Errorf("got %v, want context.DeadlineExceeded, or ErrOverloaded from a runner that knows it would be late", err)
				}
				cancel()
				live, stop := context.WithCancel(t.Context())
				out, err := slow(live, r, 2)
				stop()
				if err != nil {
					t.Errorf("a run of one's own: %v", err)
					return
				}
				out[0].Release()
			}
		})
	}
	wg.Wait()
}

func (t suite) testClose() {
	r := t.AddSub(t.T)
	in, want := addSubCase(2, 5)
	out := make([]runners.Tensor, 2)
	if err := r.Run(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatalf("close again: %v", err)
	}
	if err := r.Run(t.Context(), in, make([]runners.Tensor, 2)); !errors.Is(err, runners.ErrClosed) {
		t.Fatalf("run after close: got %v, want ErrClosed", err)
	}
	// Outputs are the caller's: they outlive the runner.
	for i := range out {
		if diff := cmp.Diff(want[i].Data, out[i].Data); diff != "" {
			t.Errorf("output %d after close (-want +got):\n%s", i, diff)
		}
		out[i].Release()
	}
	if diff := cmp.Diff(addSubSignature().Inputs[0].Name, r.Signature().Inputs[0].Name); diff != "" {
		t.Errorf("signature after close (-want +got):\n%s", diff)
	}
}

// entered is a context that tells when a run first asks for its end, by when it has been accepted.
type entered struct {
	context.Context //nolint:containedctx // it is one

	once *sync.Once
	in   chan struct{}
}

// Done tells and returns the context's channel.
func (e entered) Done() <-chan struct{} {
	e.once.Do(func() { close(e.in) })
	return e.Context.Done()
}

func (t suite) testCloseWaits() {
	r := t.Slow(t.T)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	probe := entered{ctx, &sync.Once{}, make(chan struct{})}
	ran := make(chan error, 1)
	go func() {
		out, err := slow(probe, r, forever)
		out[0].Release()
		ran <- err
	}()
	<-probe.in
	closed := make(chan error, 1)
	go func() { closed <- r.Close() }()
	select {
	case err := <-closed:
		t.Fatalf("Close returned %v during a run", err)
	case <-time.NewTimer(50 * time.Millisecond).C:
	}
	cancel()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Errorf("the run: got %v, want context.Canceled", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
}

// Inputs that nobody else refers to must stay what they are while the model reads them, whatever the collector does.
func (t suite) testCollector() {
	r := closing(t.T, t.Slow(t.T))
	stop := make(chan struct{})
	var pressure sync.WaitGroup
	pressure.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			runtime.GC()
			for range 64 { // memory of the inputs' size, to be handed out where theirs was
				garbage := make([]byte, side*side*4)
				for i := range garbage {
					garbage[i] = 0xff
				}
			}
		}
	})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 30 {
				scale := float32(g*30+i) / 60
				out := make([]runners.Tensor, 1)
				if err := r.Run(t.Context(), []runners.Tensor{INT64([]int64{}, 1), identity(scale)}, out); err != nil {
					t.Errorf("run: %v", err)
					return
				}
				if diff := cmp.Diff(Floats(identity(scale*scale)), Floats(out[0])); diff != "" {
					t.Errorf("run %d of %d is wrong (-want +got):\n%.500s", i, g, diff)
				}
				out[0].Release()
			}
		})
	}
	wg.Wait()
	close(stop)
	pressure.Wait()
}
