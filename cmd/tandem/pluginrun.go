package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dustin/go-humanize"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tandem-serve/tandem/host/sandbox"
)

type pluginRunCmd struct {
	output
	localCall
	MaxFuel uint64 `help:"Work that the call may do, in units of about one instruction. Default: no limit but the time."`
}

// runReport is the answer of plugin run for programs.
type runReport struct {
	Outputs map[string]json.RawMessage `json:"outputs"`
	Outcome int                        `json:"outcome,omitempty"`
	callCost
}

// callCost is what one call cost.
type callCost struct {
	Fuel        uint64  `json:"fuel"`
	RunMicros   float64 `json:"run_us"`
	MemoryBytes int64   `json:"memory_bytes"`
	// DirtyPages is -1 when the system cannot tell.
	DirtyPages int `json:"dirty_pages"`
}

func costOf(r *sandbox.Result) callCost {
	return callCost{Fuel: r.Fuel, RunMicros: micros(r.Run), MemoryBytes: r.MemoryBytes, DirtyPages: r.DirtyPages}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// Run calls the function once and prints its outputs and what the call cost.
func (c *pluginRunCmd) Run(ctx context.Context, e *env) (err error) {
	p, call, f, err := c.prepare(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	call.MaxFuel, call.Services = c.MaxFuel, e.services(p.models)
	r, err := p.Call(ctx, call)
	if err != nil {
		return err
	}
	r.Release()
	out, err := wireOutputs(f, r.Outputs)
	if err != nil {
		return err
	}
	if c.json() {
		report := runReport{Outputs: map[string]json.RawMessage{}, Outcome: r.Outcome, callCost: costOf(r)}
		for name, v := range out {
			if report.Outputs[name], err = protojson.Marshal(v); err != nil {
				return err
			}
		}
		return e.printDocument(report)
	}
	for _, port := range f.Outputs {
		if v := out[port.Name]; v != nil {
			if err := e.say("%s: %s\n", port.Name, valueText(v)); err != nil {
				return err
			}
		}
	}
	return c.printCost(e, p, r, f.Outcomes)
}

// printCost prints what the call took.
func (c *pluginRunCmd) printCost(e *env, p *localPlugin, r *sandbox.Result, outcomes map[string]int) error {
	for name, code := range outcomes {
		if r.Outcome != 0 && code == r.Outcome {
			if err := e.say("outcome: %s (%d)\n", name, code); err != nil {
				return err
			}
		}
	}
	t := e.table()
	t.row("")
	t.row("plugin", p.Description().Name+" "+p.Description().Version)
	t.row("fuel", humanize.Comma(int64(min(r.Fuel, 1<<62)))+" units of about one instruction")
	t.row("time", r.Run.Round(time.Microsecond/10))
	t.row("memory", humanize.IBytes(uint64(max(r.MemoryBytes, 0))))
	t.row("dirty pages", dirtyText(r.DirtyPages))
	return t.flush()
}

func dirtyText(pages int) string {
	if pages < 0 {
		return "unknown: the call grew its memory, or this system cannot tell"
	}
	return humanize.Comma(int64(pages)) + " of 4 KiB, put back after the call"
}
