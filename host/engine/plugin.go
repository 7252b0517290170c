package engine

import (
	"context"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// Plugin runs one function of a plugin; *sandbox.Plugin is one.
type Plugin interface {
	Call(ctx context.Context, c sandbox.Call) (*sandbox.Result, error)
}

var _ Plugin = (*sandbox.Plugin)(nil)

type pluginTarget struct {
	label  string
	plugin Plugin
}

// PluginFunction returns the target that calls function of p, which stays the caller's; label says which plugin it is, as
// "ocr@2".
func PluginFunction(p Plugin, label, function string) Target {
	return &pluginTarget{label: "plugin " + label + " " + function, plugin: p}
}

// Label says which plugin and function it is.
func (t *pluginTarget) Label() string { return t.label }

func (t *pluginTarget) run(ctx context.Context, c *call) (*answer, error) {
	res, err := t.plugin.Call(ctx, sandbox.Call{
		Function:  c.node.Function,
		With:      c.node.With,
		Inputs:    c.in,
		RequestID: hashID(c.r.id),
		Services:  c.services(),
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
		stats:  stats{waited: res.Wait, ran: res.Run, copied: res.BytesIn + res.BytesOut, fuel: res.Fuel},
	}, nil
}

// hashID gives the guest a number for a request: it seeds its randomness and tells requests apart in its logs.
func hashID(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum64()
}

// services is what the plugin reaches through host functions in this call.
func (c *call) services() sandbox.Services {
	s := sandbox.Services{Log: c.log}
	if c.r.eng.cfg.Records != nil {
		s.Record = c.record
	}
	return s
}

func (c *call) log(ctx context.Context, level slog.Level, text string) {
	c.r.eng.cfg.Logger.LogAttrs(ctx, level, "plugin says", slog.String("text", text), slog.String("graph", c.r.rel.Name),
		slog.String("node", c.node.Name), slog.String("request_id", c.r.id))
}

func (c *call) record(_ context.Context, stream string, doc []byte) error {
	c.r.records.add(Record{
		Stream: stream, Graph: c.r.rel.Name, Version: c.r.rel.Version, Node: c.node.Name, RequestID: c.r.id,
		Doc: slices.Clone(doc),
	})
	return nil
}

// recordList holds a request's records until the request has succeeded.
type recordList struct {
	mu sync.Mutex // guards the following
	rs []Record
}

func (l *recordList) add(r Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rs = append(l.rs, r)
}

// keepRecords makes the records of a request that succeeded durable, before it is answered.
func (r *run) keepRecords(ctx context.Context) error {
	if len(r.records.rs) == 0 {
		return nil
	}
	if err := r.eng.cfg.Records.Record(ctx, r.records.rs); err != nil {
		e := classify(err)
		return &Error{Reason: e.Reason, Graph: r.rel.Name, Text: "the request's records could not be kept: " + e.Text, Err: err}
	}
	return nil
}
