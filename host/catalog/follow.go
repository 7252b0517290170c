package catalog

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// event is what a follower sees: a record that is new or has changed, one that is gone, or that it has caught up.
type event struct {
	key   string
	value []byte
	// rev is the revision of the record, or of its deletion; for a deletion that was found by listing again, the last
	// revision that was seen of the record.
	rev     uint64
	deleted bool
	// synced is set on an event of its own whenever everything that was there when a listing began has been yielded.
	// epoch is then how often the connection had been lost or found again before that listing.
	synced bool
	epoch  int
}

// follow yields every record under the patterns, then a synced event, then what changes, until ctx is done or the caller
// stops. It lists everything again when the connection was lost, when the store ends the watch, and after a while in any
// case, and yields what differs from what it yielded before: nothing is missed for good.
func (b *bucket) follow(ctx context.Context, patterns ...string) iter.Seq[event] {
	return func(yield func(event) bool) {
		f := &follower{bucket: b, patterns: patterns, known: make(map[string]uint64), yield: yield}
		for attempt := 0; ; {
			listed, goOn := f.once(ctx)
			if !goOn || ctx.Err() != nil {
				return
			}
			if attempt++; listed {
				attempt = 0
			}
			if attempt > 0 && pause(ctx, attempt+4) != nil {
				return
			}
		}
	}
}

type follower struct {
	*bucket
	patterns []string
	// known has the revision of every record that was yielded last.
	known map[string]uint64
	yield func(event) bool
}

// once lists and then follows until it is time to list again. It reports whether the listing was completed, and whether
// the caller wants more.
func (f *follower) once(ctx context.Context) (listed, goOn bool) {
	epoch, lost := f.reconnected.next()
	w, err := f.kv.WatchFiltered(ctx, slices.Clone(f.patterns))
	if err != nil {
		if ctx.Err() == nil {
			f.log.WarnContext(ctx, "catalog watch", slog.Any("error", err))
		}
		return false, true
	}
	defer stopWatcher(w)
	relist := time.NewTimer(f.relist)
	defer relist.Stop()
	seen := make(map[string]struct{}, len(f.known))
	for {
		select {
		case <-ctx.Done():
			return listed, false
		case <-lost:
			return listed, true
		case <-relist.C:
			return listed, true
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return listed, true
			case e == nil:
				listed = true
				goOn = f.removeUnseen(ctx, seen) && f.yield(event{synced: true, epoch: epoch})
				seen = nil
			default:
				if seen != nil {
					seen[e.Key()] = struct{}{}
				}
				goOn = f.pass(e)
			}
			if !goOn {
				return listed, false
			}
		}
	}
}

// pass yields e unless it was yielded before.
func (f *follower) pass(e jetstream.KeyValueEntry) bool {
	known, ok := f.known[e.Key()]
	if ok && known >= e.Revision() {
		return true
	}
	if e.Operation() != jetstream.KeyValuePut {
		delete(f.known, e.Key())
		return f.yield(event{key: e.Key(), rev: e.Revision(), deleted: true})
	}
	f.known[e.Key()] = e.Revision()
	return f.yield(event{key: e.Key(), value: e.Value(), rev: e.Revision()})
}

// removeUnseen yields a deletion for every record that is known, was not listed again, and is not there. One that is written
// while the store lists may be missing from the list although it was never gone: its new value comes after the list.
func (f *follower) removeUnseen(ctx context.Context, seen map[string]struct{}) bool {
	for key, rev := range f.known {
		if _, ok := seen[key]; ok {
			continue
		}
		if _, err := f.kv.Get(ctx, key); !errors.Is(translate(err), ErrNotFound) {
			continue // it is there, or nobody can say: the next list will
		}
		delete(f.known, key)
		if !f.yield(event{key: key, rev: rev, deleted: true}) {
			return false
		}
	}
	return true
}
