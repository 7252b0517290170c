package sandbox

import (
	"context"
	"encoding/json"
	"time"
)

// Warm starts the plugin with a configuration, as the first call would, and keeps the snapshot and one instance for the
// calls to come. It fails when the configuration breaks the function's schema or the plugin refuses it. spend is told what the
// guest uses, as [Services].Spend is; nil is nobody. Every error is a [*CallError].
func (p *Plugin) Warm(ctx context.Context, function string, with json.RawMessage, spend func(fuel uint64, core time.Duration) error) error {
	c := Call{Function: function, With: with, Services: Services{Spend: spend}}
	if err := p.ValidateWith(function, with); err != nil {
		return p.callError(&c, "", &CallError{Kind: KindInput, Text: err.Error(), Cause: err})
	}
	l, err := p.laneFor(&c, 0)
	if err != nil {
		return p.callError(&c, "", err)
	}
	s := p.newState(ctx, &c)
	defer p.host.freeState(s)
	defer s.letGo()
	in, _, err := l.take(ctx, s)
	if err != nil {
		l.refs.Add(-1)
		return p.callError(&c, "", err)
	}
	l.finish(in)
	return nil
}
