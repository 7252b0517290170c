package main

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

type planCmd struct{ output }

// Run shows the resource plan.
func (c *planCmd) Run(ctx context.Context, e *env, cl *client.Client) error {
	p, err := cl.Server.GetPlan(ctx, &tandemv1.GetPlanRequest{})
	if err != nil {
		return err
	}
	if c.json() {
		return e.printJSON(p)
	}
	if err := planHead(e, p); err != nil || len(p.GetModels()) == 0 {
		return err
	}
	t := e.table("MODEL", "IN MEMORY", "ON", "FAIR SHARE", "THREADS", "RUNS AT ONCE", "LOADED", "ROWS", "NOW")
	for _, m := range p.GetModels() {
		if !m.GetLoaded() {
			t.row(m.GetModel(), "no")
			continue
		}
		t.row(m.GetModel(), bytesText(m.GetMemoryBytes()), m.GetDevice(), fairText(m), threadsText(m), runsText(m),
			times(m.GetInstances()), m.GetMaxRows(), fmt.Sprintf("%d run, %d wait", m.GetRunning(), m.GetWaiting()))
	}
	if err := t.flush(); err != nil {
		return err
	}
	return planReasons(e, p)
}

// planHead says what there is and who else has some of it.
func planHead(e *env, p *tandemv1.GetPlanResponse) error {
	memory := bytesText(p.GetMemoryBytes())
	if b := p.GetMemoryBudgetBytes(); b > 0 {
		memory += " of " + bytesText(b)
	}
	text := fmt.Sprintf("Models may use %s (%s) and hold %s of memory.\n", coresText(p.GetCores(), "%.4g"), p.GetCoresSource(), memory)
	if n := p.GetOtherModels(); n > 0 {
		text += fmt.Sprintf("Other tenants have %d models in memory.\n", n)
	}
	text += fmt.Sprintf("At most %d runs go on at once, on at most %d threads, whatever is called. Made at %s: %s.\n",
		p.GetMostRuns(), p.GetMostThreads(), p.GetMadeTime().AsTime().Local().Format("15:04:05"), p.GetMadeFor())
	if p.GetOtherModels() > 0 {
		text += fmt.Sprintf("While models of several tenants are called they take turns, and at most %d runs go on at once.\n", p.GetMostSharedRuns())
	}
	if len(p.GetModels()) == 0 {
		text += "No release runs a model.\n"
	}
	return e.say("%s\n", text)
}

// planReasons says of every model why it has what it has.
func planReasons(e *env, p *tandemv1.GetPlanResponse) error {
	t := e.table()
	for _, m := range p.GetModels() {
		t.row()
		t.row(m.GetModel())
		w := m.GetWhy()
		if !m.GetLoaded() {
			t.row("  in memory", "not now: it is loaded when it is called")
			continue
		}
		t.row("  fair share", w.GetCores())
		t.row("  threads", w.GetThreads())
		t.row("  spinning", w.GetSpin())
		t.row("  runs at once", w.GetRuns())
		t.row("  loaded", w.GetInstances())
		t.row("  rows", w.GetMaxRows())
		if why := m.GetNotBatched(); why != "" {
			t.row("  not batched", why)
		}
	}
	return t.flush()
}

func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func fairText(m *tandemv1.PlannedModel) string {
	if m.GetCores() == 0 {
		return "-"
	}
	return coresText(m.GetCores(), "%.3g")
}

func coresText(n float64, format string) string {
	text := fmt.Sprintf(format, n)
	if text == "1" {
		return "1 core"
	}
	return text + " cores"
}

func threadsText(m *tandemv1.PlannedModel) string {
	switch {
	case m.GetThreads() == 1:
		return "1"
	case m.GetSpin():
		return fmt.Sprintf("%d of its own, spinning", m.GetThreads())
	case m.GetOwnThreads():
		return fmt.Sprintf("%d of its own", m.GetThreads())
	}
	return fmt.Sprintf("%d shared", m.GetThreads())
}

func runsText(m *tandemv1.PlannedModel) string {
	if m.GetGuaranteedRuns() == m.GetMostRuns() {
		return fmt.Sprint(m.GetMostRuns())
	}
	return fmt.Sprintf("%d, up to %d", m.GetGuaranteedRuns(), m.GetMostRuns())
}

func times(n int32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
