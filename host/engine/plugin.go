package engine

import (
	"context"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// Plugin runs one function of a plugin; *sandbox.Plugin is one.
type Plugin interface {
	Call(ctx context.Context, c sandbox.Call) (*sandbox.Result, error)
}

var _ Plugin = (*sandbox.Plugin)(nil)

type pluginTarget struct {
	label  string
	id     string
	plugin Plugin
	models []Callee
}

// PluginFunction returns the target that calls function of p, which stays the caller's. The function may run the models
// itself.
func PluginFunction(p Plugin, of Of, function string, models ...Callee) Target {
	id := []string{"plugin", of.Digest}
	for _, m := range models {
		id = append(id, m.Ref+"="+m.Digest)
	}
	return &pluginTarget{label: "plugin " + of.Label + " " + function, id: strings.Join(id, " "), plugin: p, models: models}
}

// Label says which plugin and function it is.
func (t *pluginTarget) Label() string { return t.label }

func (t *pluginTarget) identity() string { return t.id }

func (t *pluginTarget) run(ctx context.Context, c *call) (*answer, error) {
	s := sandbox.Services{Log: c.log}
	if c.r.eng.cfg.Records != nil {
		s.Record = c.record
	}
	s.Spend = func(fuel uint64, core time.Duration) error {
		c.r.eng.cfg.Spent(ctx, Spent{Fuel: fuel, Compute: core})
		return nil
	}
	held := int64(0)
	s.Output = func(n int64) error {
		held = n
		return c.r.held.grow(n)
	}
	var models *callees
	if len(t.models) > 0 {
		models = &callees{as: c.asCaller, models: t.models, limit: c.r.eng.cfg.CallBytes, request: c.r.held}
		s.Models = models
	}
	a, err := t.call(ctx, c, s)
	if err == nil {
		a.bytes = held
	}
	if models == nil {
		return a, err
	}
	if err != nil {
		models.free()
		return nil, models.explain(err)
	}
	a.stats.called(models.runs)
	if len(models.held) > 0 {
		// What the plugin gives may be a model's output that it only passed on.
		a.free = both(a.free, models.free)
	}
	return a, nil
}

// both calls two functions, of which the first may be nil.
func both(a, b func()) func() {
	if a == nil {
		return b
	}
	return func() {
		a()
		b()
	}
}

func (t *pluginTarget) call(ctx context.Context, c *call, s sandbox.Services) (*answer, error) {
	res, err := t.plugin.Call(ctx, sandbox.Call{
		Function:  c.node.Function,
		With:      c.node.With,
		Inputs:    c.in,
		RequestID: hashID(c.r.id),
		Services:  s,
	})
	if err != nil {
		return nil, err
	}
	defer res.Release()
	if res.Outcome != 0 {
		return nil, &Error{Reason: ReasonPlugin, Text: "the plugin ended with an outcome that this graph does not handle"}
	}
	return &answer{
		values: res.Outputs,
		free:   res.Free,
		stats:  stats{waited: res.Wait, ran: res.Run, copied: res.BytesIn + res.BytesOut, fuel: res.Fuel},
	}, nil
}

// hashID gives the guest a number for a request: it seeds its randomness and tells requests apart in its logs.
func hashID(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum64()
}

func (c *call) log(ctx context.Context, level slog.Level, text string) {
	c.r.eng.cfg.Logger.LogAttrs(ctx, level, "plugin says", slog.String("text", text), slog.String("graph", c.r.rel.Name),
		slog.String("node", c.node.Name), slog.String("request_id", c.r.id))
}

// record notes one record. The sandbox calls it on the goroutine of the call.
func (c *call) record(_ context.Context, stream string, doc []byte) error {
	c.records = append(c.records, Record{
		Stream: stream, Graph: c.r.rel.Name, Version: c.r.rel.Version, Node: c.node.Name, RequestID: c.r.id,
		Doc: slices.Clone(doc),
	})
	return nil
}
