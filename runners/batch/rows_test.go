package batch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/fake"
	"github.com/tandem-serve/tandem/runners/runnertest"
)

func TestApart(t *testing.T) {
	t.Parallel()
	open := func(names ...string) []runners.Dim {
		var dims []runners.Dim
		for _, name := range names {
			dims = append(dims, runners.Dim{Size: -1, Name: name})
		}
		return dims
	}
	port := func(name string, dims []runners.Dim) runners.Port {
		return runners.Port{Name: name, DType: runners.FP32, Dims: dims}
	}
	good := []runners.Port{port("y", open("batch", "n"))}
	for _, test := range []struct {
		name      string
		signature runners.Signature
		want      string
	}{
		{"open", runners.Signature{Inputs: []runners.Port{port("x", open("batch"))}, Outputs: good}, ""},
		{"no names", runners.Signature{Inputs: []runners.Port{port("x", open("", "n")), port("z", open("batch"))}, Outputs: good}, ""},
		{"other names outside", runners.Signature{Inputs: []runners.Port{port("x", open("N"))}, Outputs: good}, ""},
		{"two names", runners.Signature{Inputs: []runners.Port{port("x", open("batch")), port("z", open("length"))}, Outputs: good}, `input "z" has the first dimension length and another has batch`},
		{"fixed", runners.Signature{Inputs: []runners.Port{port("x", []runners.Dim{{Size: 1}, {Size: -1}})}, Outputs: good}, `input "x" has a batch dimension of fixed size 1`},
		{"scalar", runners.Signature{Inputs: []runners.Port{port("x", []runners.Dim{})}, Outputs: good}, `input "x" has no batch dimension`},
		{"any rank", runners.Signature{Inputs: []runners.Port{port("x", nil)}, Outputs: good}, `input "x" has an open number of dimensions`},
		{"fixed output", runners.Signature{Inputs: []runners.Port{port("x", open("batch"))}, Outputs: []runners.Port{port("y", []runners.Dim{{Size: 1}})}}, `output "y" has a batch dimension of fixed size 1`},
		{"document", fake.Document().Signature, `output "document" is a document`},
		{"nothing", runners.Signature{}, "it lacks inputs or outputs"},
	} {
		if got := batch.Apart(test.signature); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	b := batch.New(fake.New(fake.Document()), batch.Config{})
	if got := b.Apart(); got != `output "document" is a document` {
		t.Errorf("got %q", got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRowsHaveToAgree(t *testing.T) {
	t.Parallel()
	b := batch.New(fake.New(fake.AddSub()), batch.Config{})
	in := []runners.Tensor{runnertest.FP32([]int64{2, 3}, make([]float32, 6)...), runnertest.FP32([]int64{1, 3}, make([]float32, 3)...)}
	err := b.Run(t.Context(), in, make([]runners.Tensor, 2))
	if !errors.Is(err, runners.ErrShape) || !strings.Contains(err.Error(), `input "b"`) || !strings.Contains(err.Error(), `input "a" has 2`) {
		t.Errorf("got %v, want ErrShape that names both inputs", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// together runs the requests so that all of them but the first are in one batch, and returns their errors.
func together(t *testing.T, b *batch.Batcher, in, out [][]runners.Tensor) []error {
	t.Helper()
	errs := make([]error, len(in))
	var wg sync.WaitGroup
	for i := range in {
		wg.Go(func() { errs[i] = b.Run(t.Context(), in[i], out[i]) })
		synctest.Wait()
	}
	wg.Wait()
	return errs
}

func slowly(s fake.Script) fake.Script {
	s.Takes = func([]runners.Tensor) time.Duration { return time.Millisecond }
	return s
}

// Strings are put together and parted like other rows, of several to a row too.
func TestStringsShareABatch(t *testing.T) {
	t.Parallel()
	s := slowly(fake.Echo(runners.BYTES))
	dims := []runners.Dim{{Size: -1, Name: "batch"}, {Size: -1}}
	s.Signature.Inputs[0].Dims, s.Signature.Outputs[0].Dims = dims, dims
	synctest.Test(t, func(t *testing.T) {
		inner := fake.New(s)
		b := batch.New(inner, batch.Config{MaxRows: 4})
		in := [][]runners.Tensor{
			{runnertest.Strings([]int64{1, 2}, "x", "y")},
			{runnertest.Strings([]int64{1, 2}, "", "grün")},
			{runnertest.Strings([]int64{2, 2}, "one", "", "", "two\x00")},
			{runnertest.Strings([]int64{1, 2}, "", "")},
			{runnertest.Strings([]int64{5, 2}, "a", "bb", "", "ccc", "d", "", "ee", "f", "", "")}, // more than one run has
		}
		out := make([][]runners.Tensor, len(in))
		for i := range out {
			out[i] = make([]runners.Tensor, 1)
		}
		for i, err := range together(t, b, in, out) {
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				continue
			}
			if diff := cmp.Diff(in[i][0], out[i][0], cmpopts.IgnoreUnexported(runners.Tensor{})); diff != "" {
				t.Errorf("request %d (-want +got):\n%s", i, diff)
			}
			out[i][0].Release()
		}
		if got := len(inner.Runs()); got != 4 {
			t.Errorf("got %d runs, want 4: the first, three together, and two parts", got)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if inner.Lent() != 0 {
			t.Errorf("%d outputs were not released", inner.Lent())
		}
	})
}

// A model whose output has not a row for each that went in is found out before anybody gets another's rows.
func TestModelThatMixesRows(t *testing.T) {
	t.Parallel()
	s := slowly(wide())
	s.Compute = func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
		values := runnertest.Floats(in[0]) // all rows in one
		return []runners.Tensor{runnertest.FP32([]int64{1, int64(len(values))}, values...)}, nil
	}
	synctest.Test(t, func(t *testing.T) {
		inner := fake.New(s)
		b := batch.New(inner, batch.Config{})
		var in, out [][]runners.Tensor
		for i := range 4 {
			in = append(in, []runners.Tensor{runnertest.FP32([]int64{1, 2}, float32(i), float32(i))})
			out = append(out, make([]runners.Tensor, 1))
		}
		for i, err := range together(t, b, in, out) {
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			if diff := cmp.Diff([]float32{float32(i), float32(i)}, runnertest.Floats(out[i][0])); diff != "" {
				t.Errorf("request %d (-want +got):\n%s", i, diff)
			}
			out[i][0].Release()
		}
		want := `output "y" has the shape [1 6] for a batch of 3 rows: the model does not keep rows apart`
		if got := b.Apart(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		together(t, b, in, out)
		for i := range out {
			out[i][0].Release()
		}
		if runs := len(inner.Runs()); runs != 1+1+3+4 {
			t.Errorf("got %d runs, want one each from then on", runs)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is copied is what has to be: nothing for a request alone, its inputs for one that shares a batch, and its outputs only
// into memory of the caller's.
func TestBytesCopied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := batch.New(fake.New(slowly(fake.AddSub())), batch.Config{})
		row := func() []runners.Tensor {
			x := runnertest.FP32([]int64{1, 3}, 1, 2, 3)
			return []runners.Tensor{x, x}
		}
		room := runners.Tensor{DType: runners.FP32, Shape: []int64{1, 3}, Data: make([]byte, 12)}
		out := [][]runners.Tensor{make([]runners.Tensor, 2), make([]runners.Tensor, 2), {room, {}}}
		for i, err := range together(t, b, [][]runners.Tensor{row(), row(), row()}, out) {
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			out[i][0].Release()
			out[i][1].Release()
		}
		s := b.Stats()
		if want := uint64(2*24 + 12); s.BytesCopied != want || s.Runs != 2 || s.Rows != 3 {
			t.Errorf("copied %d bytes in %d runs of %d rows, want %d in 2 of 3", s.BytesCopied, s.Runs, s.Rows, want)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A request alone costs a few small allocations, whatever its size.
func TestAllocations(t *testing.T) {
	inner := fake.New(fake.Script{
		Signature: fake.AddSub().Signature,
		Compute: func(_ context.Context, in []runners.Tensor) ([]runners.Tensor, error) {
			return in, nil
		},
	})
	b := batch.New(inner, batch.Config{MaxRows: 1 << 20})
	for _, rows := range []int64{1, 100_000} {
		x := runners.Tensor{DType: runners.FP32, Shape: []int64{rows, 3}, Data: make([]byte, 12*rows)}
		in, bare, batched := []runners.Tensor{x, x}, make([]runners.Tensor, 2), make([]runners.Tensor, 2)
		count := func(r runners.Runner, out []runners.Tensor) float64 {
			return testing.AllocsPerRun(50, func() {
				clear(out)
				if err := r.Run(t.Context(), in, out); err != nil {
					t.Fatal(err)
				}
			})
		}
		if extra := count(b, batched) - count(inner, bare); extra > 4 {
			t.Errorf("%d rows: %v allocations more than the model alone, want at most 4", rows, extra)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkAlone times what a Batcher adds to a request that nobody else comes with; its unit is a request.
func BenchmarkAlone(b *testing.B) {
	inner := instant{fake.AddSub().Signature}
	batched := batch.New(inner, batch.Config{})
	x := runnertest.FP32([]int64{1, 3}, 1, 2, 3)
	in, out := []runners.Tensor{x, x}, make([]runners.Tensor, 2)
	for name, r := range map[string]runners.Runner{"bare": inner, "batched": batched} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Run(b.Context(), in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTogether times requests of 16 callers at once; its unit is a request.
func BenchmarkTogether(b *testing.B) {
	batched := batch.New(instant{fake.AddSub().Signature}, batch.Config{})
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x := runnertest.FP32([]int64{1, 3}, 1, 2, 3)
		in := []runners.Tensor{x, x}
		for pb.Next() {
			out := make([]runners.Tensor, 2)
			if err := batched.Run(b.Context(), in, out); err != nil {
				b.Error(err)
			}
			out[0].Release()
			out[1].Release()
		}
	})
	s := batched.Stats()
	b.ReportMetric(float64(s.Rows)/float64(s.Runs), "rows/run")
}

// instant is a runner that gives its inputs back at once.
type instant struct{ signature runners.Signature }

func (r instant) Signature() runners.Signature { return r.signature }

func (r instant) Run(_ context.Context, in, out []runners.Tensor) error {
	copy(out, in)
	return nil
}

func (r instant) Close() error { return nil }
