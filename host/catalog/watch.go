package catalog

import (
	"context"
	"iter"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Change says that an object changed. Read it to see how; it may have changed again since.
type Change struct {
	// Kind, Tenant and Name say which. All are "" when Synced is true.
	Kind   Kind
	Tenant tenant.ID
	Name   string
	// Deleted says that the object is gone.
	Deleted bool
	// Synced is set on one extra Change after all objects that existed when the watch began.
	Synced bool
}

// Watch yields every object of the given kinds (none: all), of every tenant, once, then a Change with Synced set, then
// every object that changes. It ends without an error when ctx is done, and with [ErrClosed] when the catalog is closed.
// Changes to one object that come in quick succession may be yielded as one, and a Change may be yielded although the
// object is as it was; none is lost for good.
func (c *Catalog) Watch(ctx context.Context, kinds ...Kind) iter.Seq2[Change, error] {
	if len(kinds) == 0 {
		kinds = []Kind{KindModel, KindPlugin, KindGraph}
	}
	patterns := make([]string, len(kinds))
	for i, k := range kinds {
		patterns[i] = string(k) + ".>"
	}
	return func(yield func(Change, error) bool) {
		ctx, cancel := c.whileOpen(ctx)
		defer cancel()
		live := make(map[string]bool)
		synced := false
		for e := range c.bucket.follow(ctx, patterns...) {
			ch, ok := change(e, live, &synced)
			if ok && !yield(ch, nil) {
				return
			}
		}
		if c.closed.Err() != nil {
			yield(Change{}, ErrClosed)
		}
	}
}

// change turns an event into a Change, or returns false when it is none: an object that is deleted and was never live
// for this watch, or one more listing.
func change(e event, live map[string]bool, synced *bool) (Change, bool) {
	if e.synced {
		first := !*synced
		*synced = true
		return Change{Synced: true}, first
	}
	kind, t, name := splitKey(e.key)
	ch := Change{Kind: kind, Tenant: t, Name: name, Deleted: e.deleted || isTombstone(kind, e)}
	was := live[e.key]
	if ch.Deleted {
		delete(live, e.key)
		return ch, was
	}
	live[e.key] = true
	return ch, true
}

// isTombstone reports whether the record is what is left of a deleted object. One that cannot be read is not: whoever
// reads it is to meet the error.
func isTombstone(kind Kind, e event) bool {
	if kind == KindGraph {
		p, err := decode[pointer](e.key, e.value)
		return err == nil && len(p.Releases) == 0
	}
	a, err := decode[aggregate](e.key, e.value)
	return err == nil && len(a.Versions) == 0
}

// whileOpen returns a context that is done when ctx is, or when the catalog is closed.
func (c *Catalog) whileOpen(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(c.closed, func() { cancel(ErrClosed) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}
