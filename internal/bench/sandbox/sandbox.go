// Package sandbox is the suite that times the plugin host: calls with everything that isolates them, beside stock wazero
// without; deadlines; what spinning guests do to others; instances; uploads.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
)

// Suite returns the suite.
func Suite() report.Suite {
	return report.Suite{Name: "sandbox", Doc: "calls, deadlines, instances and uploads of plugins in C and Go", Run: run, Page: page}
}

// suite is one run.
type suite struct {
	r       *report.Report
	host    *sandbox.Host
	modules map[string][]byte
	plugins map[string]*sandbox.Plugin
	each    time.Duration // how long one figure is measured
}

func run(ctx context.Context, r *report.Report) (err error) {
	s := &suite{r: r, modules: map[string][]byte{}, plugins: map[string]*sandbox.Plugin{}, each: 2 * time.Second}
	if r.Quick {
		s.each = 50 * time.Millisecond
	}
	for _, name := range []string{"values", "hostile"} {
		if s.modules[name], err = sandboxtest.Read(name); err != nil {
			return err
		}
	}
	if s.modules["go"], err = sandboxtest.BuildGo(); err != nil {
		return fmt.Errorf("build the plugin in Go: %w", err)
	}
	if err := s.uploads(ctx); err != nil {
		return err
	}
	cores := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(cores + 14) // as `tandem serve` has
	defer runtime.GOMAXPROCS(cores)
	if s.host, err = sandbox.New(ctx, sandbox.Config{Cores: cores}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.host.Close(context.WithoutCancel(ctx))) }()
	for name, wasm := range s.modules {
		if s.plugins[name], err = s.host.Load(ctx, wasm); err != nil {
			return err
		}
	}
	for _, measure := range []func(context.Context) error{s.calls, s.plain, s.extism, s.tensor, s.overrun, s.pause, s.fairness, s.instances, s.image, s.metering} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// call calls a function and releases its result.
func call(ctx context.Context, p *sandbox.Plugin, function string, in ...value.Value) error {
	r, err := p.Call(ctx, sandbox.Call{Function: function, Inputs: in, Lease: true})
	if err == nil {
		r.Release()
	}
	return err
}

// calls times a call that does nothing, on one core and on all.
func (s *suite) calls(ctx context.Context) error {
	for _, c := range []struct {
		lang, plugin        string
		p50, p99, perSecond float64
	}{{"C", "values", 5, 20, 300_000}, {"Go", "go", 8, 40, 100_000}} {
		one := func(ctx context.Context, _ int) error { return call(ctx, s.plugins[c.plugin], "nothing") }
		res, err := load.Loop{Duration: s.each, Warmup: s.each / 10}.Run(ctx, one)
		if err != nil {
			return err
		}
		s.r.AtMost("call "+c.lang+" p50", micros(res.Latency.Quantile(.5)), "us", c.p50)
		s.r.AtMost("call "+c.lang+" p99", micros(res.Latency.Quantile(.99)), "us", c.p99)
		all := load.Loop{Callers: s.host.Stats().Cores, Duration: s.each, Warmup: s.each / 10}
		if res, err = all.Run(ctx, one); err != nil {
			return err
		}
		s.r.AtLeast(fmt.Sprintf("calls %s on %d cores", c.lang, all.Callers), res.PerSecond(), "calls/s", c.perSecond)
	}
	return nil
}

// plain times the same calls on stock wazero.
func (s *suite) plain(ctx context.Context) error {
	for _, c := range []struct{ lang, plugin string }{{"C", "values"}, {"Go", "go"}} {
		for _, mode := range []string{"one state for all calls", "interruptible", "a new instance every call"} {
			p, err := sandboxtest.NewPlain(ctx, s.modules[c.plugin], mode == "interruptible")
			if err != nil {
				return err
			}
			res, err := load.Loop{Duration: s.each / 2}.Run(ctx, func(ctx context.Context, _ int) error {
				if mode == "a new instance every call" {
					if err := p.Renew(ctx); err != nil {
						return err
					}
				}
				return p.Call(ctx)
			})
			if err = errors.Join(err, p.Close(ctx)); err != nil {
				return err
			}
			s.r.Add("plain wazero "+c.lang+", "+mode+" p50", micros(res.Latency.Quantile(.5)), "us")
		}
	}
	return nil
}

// tensor times a call that gets a large tensor.
func (s *suite) tensor(ctx context.Context) error {
	const n = 4 << 20
	x := value.Tensor(abi.UINT8, []int64{n}, make([]byte, n))
	res, err := load.Loop{Duration: s.each, Warmup: s.each / 4}.Run(ctx, func(ctx context.Context, _ int) error {
		return call(ctx, s.plugins["values"], "echo", x)
	})
	if err != nil {
		return err
	}
	s.r.AtMost("4 MiB tensor in and out, leased p50", float64(res.Latency.Quantile(.5))/1e6, "ms", 0.2)
	return nil
}

// mode is an input of the hostile plugin.
func mode(n byte) value.Value { return value.Tensor(abi.INT32, nil, []byte{n, 0, 0, 0}) }

// overrun measures how late endless guests of every shape are stopped.
func (s *suite) overrun(ctx context.Context) error {
	const budget = 50 * time.Millisecond
	rounds := 5
	if s.r.Quick {
		rounds = 1
	}
	for n, shape := range []string{
		"loop", "loop of recursions", "recursion", "mutual recursion", "fills", "copies", "fills of 200 MiB", "now_ns", "log", "random_get",
		"fd_write", "poll_oneoff", "memory.grow", "record", "metric", "indirect calls", "fresh pages", "cache misses", "divisions",
	} {
		var worst time.Duration
		for range rounds {
			cctx, cancel := context.WithTimeout(ctx, budget)
			began := time.Now()
			err := call(cctx, s.plugins["hostile"], "spin", mode(byte(n)))
			worst = max(worst, time.Since(began)-budget)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("an endless guest (%s) ended with %w", shape, err)
			}
		}
		s.r.AtMost("deadline overrun, "+shape, float64(worst)/1e6, "ms", 2)
	}
	return nil
}

// pause measures how long other goroutines have to wait while guests spin on every core: for a timer, for the network and
// for a collection. Go's own loops in their place show what of it is the system's.
func (s *suite) pause(ctx context.Context) error {
	for _, c := range []struct {
		what string
		spin func(ctx context.Context)
	}{
		{"Go spins", func(ctx context.Context) {
			for ctx.Err() == nil {
				for range 100_000 {
				}
			}
		}},
		{"guests spin", func(ctx context.Context) { _ = call(ctx, s.plugins["hostile"], "spin", mode(0)) }}, // ends with ctx
		{"guests touch new pages", func(ctx context.Context) {
			for ctx.Err() == nil {
				_ = call(ctx, s.plugins["hostile"], "spin", mode(16)) // ends with ctx
			}
		}},
	} {
		if err := s.pauseBy(ctx, c.what, c.spin); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) pauseBy(ctx context.Context, what string, spin func(ctx context.Context)) (err error) {
	trip, hang, err := echo(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hang()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() { spin(ctx) })
	}
	const tick = time.Millisecond
	var late, trips, collections load.Histogram
	stops := newStops()
	for until := time.Now().Add(s.each); time.Now().Before(until); {
		began := time.Now()
		timer := time.NewTimer(tick)
		<-timer.C
		late.Add(time.Since(began) - tick)
		began = time.Now()
		if err := trip(); err != nil {
			return err
		}
		trips.Add(time.Since(began))
	}
	for until := time.Now().Add(s.each / 4); time.Now().Before(until); {
		began := time.Now()
		runtime.GC()
		collections.Add(time.Since(began))
	}
	cancel()
	wg.Wait()
	millis := func(d time.Duration) float64 { return float64(d) / 1e6 }
	s.r.AtMost("timers late while "+what+" on all cores p99", millis(late.Quantile(.99)), "ms", 5)
	s.r.AtMost("a round trip over TCP while "+what+" p99", millis(trips.Quantile(.99)), "ms", 5)
	s.r.AtMost("the world stopped for a collection while "+what+" p99", stops.quantile(.99)*1e3, "ms", 5)
	s.r.Add("a whole collection while "+what+" p50", millis(collections.Quantile(.5)), "ms")
	return nil
}

// echo returns a function that sends a byte over loopback and waits for it to come back, and one that hangs up.
func echo(ctx context.Context) (trip, hang func() error, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c) // ends when the other side hangs up
			_ = c.Close()
		}
	}()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	b := []byte{1}
	trip = func() error {
		_, err := c.Write(b)
		if err == nil {
			_, err = io.ReadFull(c, b)
		}
		return err
	}
	hang = func() error {
		err := errors.Join(c.Close(), l.Close())
		<-done
		return err
	}
	return trip, hang, nil
}

// fairness measures the share of the cores that a tenant with one busy plugin has beside one with twenty.
func (s *suite) fairness(ctx context.Context) error {
	small, err := s.host.LoadFor(ctx, sandbox.Loading{Tenant: "small"}, s.modules["hostile"])
	if err != nil {
		return err
	}
	big, err := s.host.LoadFor(ctx, sandbox.Loading{Tenant: "big"}, s.modules["hostile"])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.each)
	defer cancel()
	var wg sync.WaitGroup
	cores := s.host.Stats().Cores
	for i := range 20 {
		wg.Go(func() { _ = call(ctx, big, "spin", mode(0)) }) // ends with ctx
		if i < cores {
			wg.Go(func() { _ = call(ctx, small, "spin", mode(0)) })
		}
	}
	wg.Wait()
	a, b := s.host.CoreTime("small"), s.host.CoreTime("big")
	s.r.AtLeast(fmt.Sprintf("share of the cores of a tenant with %d busy calls beside one with 20", cores), 100*float64(a)/float64(a+b), "%", 45)
	return errors.Join(small.Close(), big.Close())
}

// instances measures making an instance from its snapshot, and what an idle one keeps.
func (s *suite) instances(ctx context.Context) error {
	for _, c := range []struct {
		lang, plugin string
		limit        float64
	}{{"C", "values", 20}, {"Go", "go", 200}} {
		p := s.plugins[c.plugin]
		if err := call(ctx, p, "nothing"); err != nil {
			return err
		}
		const n = 50
		before := resident()
		var held []*sandbox.Result
		var waits load.Histogram
		for range n {
			r, err := p.Call(ctx, sandbox.Call{Function: "nothing", Lease: true})
			if err != nil {
				return err
			}
			held = append(held, r)
			waits.Add(r.Wait)
		}
		for _, r := range held {
			r.Release()
		}
		s.r.AtMost("new instance from a snapshot, "+c.lang+" p50", micros(waits.Quantile(.5)), "us", c.limit)
		if c.lang == "Go" {
			s.r.AtMost("idle instance, Go", float64(resident()-before)/n/1024, "KiB", 150)
		}
	}
	return nil
}

// resident returns this process's resident bytes after a collection; 0 where that is not known.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// uploads measures an upload and a restart.
func (s *suite) uploads(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tandem-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, step := range []struct {
		name  string
		limit time.Duration
	}{{"upload of a Go plugin to ready", 3 * time.Second}, {"the same after a restart, from the cache", 60 * time.Millisecond}} {
		h, err := sandbox.New(ctx, sandbox.Config{CacheDir: filepath.Join(dir, "cache")})
		if err != nil {
			return err
		}
		began := time.Now()
		_, err = h.Load(ctx, s.modules["go"])
		took := time.Since(began)
		if err = errors.Join(err, h.Close(ctx)); err != nil {
			return err
		}
		s.r.AtMost(step.name, float64(took)/1e6, "ms", float64(step.limit)/1e6)
	}
	return nil
}
