package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/tandem-serve/tandem/host/sandbox"
)

type pluginBenchCmd struct {
	output
	localCall
	For      time.Duration `help:"How long to call." default:"2s"`
	Parallel int           `help:"How many callers at a time." default:"1"`
}

// benchReport is what plugin bench measures. Times are of whole calls: inputs in, run, outputs checked and copied out,
// memory put back.
type benchReport struct {
	Calls     int     `json:"calls"`
	Parallel  int     `json:"parallel"`
	PerSecond float64 `json:"calls_per_second"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	Max       float64 `json:"max_us"`
	// RunP50 is the time inside the plugin alone.
	RunP50      float64 `json:"run_p50_us"`
	FuelP50     uint64  `json:"fuel_p50"`
	FuelMax     uint64  `json:"fuel_max"`
	DirtyP50    int     `json:"dirty_pages_p50"`
	DirtyMax    int     `json:"dirty_pages_max"`
	MemoryBytes int64   `json:"memory_bytes"`
}

// sample is one measured call.
type sample struct {
	whole, run time.Duration
	fuel       uint64
	dirty      int
	memory     int64
}

// warmCalls are made before the measured ones: the first takes a snapshot, the next ones fill caches.
const warmCalls = 50

// maxSamples bounds what one caller keeps.
const maxSamples = 1 << 21

// Run calls the function again and again and prints how long whole calls take.
func (c *pluginBenchCmd) Run(ctx context.Context, e *env) (err error) {
	if c.For <= 0 || c.Parallel < 1 || c.Parallel > 64 {
		return usagef("--for must be positive and --parallel 1 to 64")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p, call, _, err := c.prepare(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	// Records are taken and forgotten: printing them would be measured too.
	call.Services = sandbox.Services{Models: p.models, Record: func(context.Context, string, []byte) error { return nil }}
	for range warmCalls {
		if _, err := measure(ctx, p, call); err != nil {
			return err
		}
	}
	samples, took, err := c.measureAll(ctx, p, call)
	if err != nil {
		return err
	}
	report := summarise(samples, took, c.Parallel)
	if c.json() {
		return e.printDocument(report)
	}
	return report.print(e)
}

// measure makes one call.
func measure(ctx context.Context, p *localPlugin, call sandbox.Call) (sample, error) {
	began := time.Now()
	r, err := p.Call(ctx, call)
	if err != nil {
		return sample{}, err
	}
	r.Release()
	return sample{time.Since(began), r.Run, r.Fuel, r.DirtyPages, r.MemoryBytes}, nil
}

// measureAll calls from as many goroutines as asked for, for as long as asked for.
func (c *pluginBenchCmd) measureAll(ctx context.Context, p *localPlugin, call sandbox.Call) ([]sample, time.Duration, error) {
	all, errs := make([][]sample, c.Parallel), make([]error, c.Parallel)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range c.Parallel {
		wg.Go(func() {
			for (len(all[i]) == 0 || time.Since(began) < c.For) && len(all[i]) < maxSamples && errs[i] == nil {
				var s sample
				if s, errs[i] = measure(ctx, p, call); errs[i] == nil {
					all[i] = append(all[i], s)
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(all...), time.Since(began), errors.Join(errs...)
}

func summarise(samples []sample, took time.Duration, parallel int) benchReport {
	column := func(at func(sample) int64) func(q float64) int64 {
		values := make([]int64, len(samples))
		for i, s := range samples {
			values[i] = at(s)
		}
		slices.Sort(values)
		return func(q float64) int64 { return values[int(q*float64(len(values)-1))] }
	}
	whole := column(func(s sample) int64 { return int64(s.whole) })
	fuel := column(func(s sample) int64 { return int64(s.fuel) })
	dirty := column(func(s sample) int64 { return int64(s.dirty) })
	us := func(n int64) float64 { return micros(time.Duration(n)) }
	return benchReport{
		Calls: len(samples), Parallel: parallel, PerSecond: float64(len(samples)) / took.Seconds(),
		P50: us(whole(0.5)), P90: us(whole(0.9)), P99: us(whole(0.99)), Max: us(whole(1)),
		RunP50:  us(column(func(s sample) int64 { return int64(s.run) })(0.5)),
		FuelP50: uint64(fuel(0.5)), FuelMax: uint64(fuel(1)), DirtyP50: int(dirty(0.5)), DirtyMax: int(dirty(1)),
		MemoryBytes: column(func(s sample) int64 { return s.memory })(1),
	}
}

func (r benchReport) print(e *env) error {
	t := e.table()
	t.row("calls", fmt.Sprintf("%s, %d at a time, %s a second", humanize.Comma(int64(r.Calls)), r.Parallel, humanize.CommafWithDigits(r.PerSecond, 0)))
	t.row("whole call", fmt.Sprintf("p50 %.1f us, p90 %.1f us, p99 %.1f us, max %.1f us", r.P50, r.P90, r.P99, r.Max))
	t.row("in the plugin", fmt.Sprintf("p50 %.1f us", r.RunP50))
	t.row("fuel", fmt.Sprintf("p50 %s, max %s", humanize.Comma(int64(r.FuelP50)), humanize.Comma(int64(r.FuelMax))))
	if r.DirtyMax < 0 {
		t.row("dirty pages", dirtyText(r.DirtyMax))
	} else {
		t.row("dirty pages", fmt.Sprintf("p50 %d, max %d", r.DirtyP50, r.DirtyMax))
	}
	t.row("memory", humanize.IBytes(uint64(r.MemoryBytes)))
	return t.flush()
}
