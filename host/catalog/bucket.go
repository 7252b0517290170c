package catalog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/tenant"
)

// bucketName is the key-value bucket. Its keys:
//
//	model.<tenant>.<name>     aggregate
//	plugin.<tenant>.<name>    aggregate
//	graph.<tenant>.<name>     pointer
//	release.<tenant>.<id>     releaseRecord
//	tenant.<tenant>           tenant.Tenant
//	key.<id>                  tenant.Key
//	use.<tenant>              when its keys were last used
//
// Names may have dots, tenants may not, so a key has one meaning.
const bucketName = "tandem_catalog"

// Prefixes of keys beside the kinds.
const (
	prefixRelease = "release"
	prefixTenant  = "tenant"
	prefixKey     = "key"
	prefixUse     = "use"
)

// maxAttempts is how often a compare-and-set is tried. Each round has a winner, so this many writers of one record at
// once can all win.
const maxAttempts = 64

var (
	// errUnchanged says that an update has nothing to write.
	errUnchanged = errors.New("unchanged")
	// errBusy says that an update cannot be made now, but perhaps in a moment.
	errBusy = errors.New("busy")
)

// bucket is the key-value bucket with our records in it.
type bucket struct {
	kv          jetstream.KeyValue
	conn        *Conn
	log         *slog.Logger
	relist      time.Duration
	reconnected *signal
}

// openBucket makes the bucket when absent and sets its settings in any case. The client library's own way to make one
// would allow direct reads, which on several nodes may miss one's own last write.
func openBucket(ctx context.Context, conn *Conn, cfg Config, reconnected *signal) (*bucket, error) {
	_, err := conn.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:              "KV_" + bucketName,
		Description:       "tandem: models, plugins, graphs, tenants, keys",
		Subjects:          []string{"$KV." + bucketName + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          conn.replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        maxRecordBytes + 64<<10, // headers count
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       false,
	})
	if err != nil {
		return nil, fmt.Errorf("make the bucket: %w", translate(err))
	}
	kv, err := conn.js.KeyValue(ctx, bucketName)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", translate(err))
	}
	return &bucket{kv: kv, conn: conn, log: cfg.Logger, relist: cfg.Relist, reconnected: reconnected}, nil
}

// objectKey returns the key of a tenant's object. Every access to one passes here.
func objectKey(kind Kind, t tenant.ID, name string) (string, error) {
	if err := tenant.CheckID(t); err != nil {
		return "", err
	}
	if err := tenant.CheckName(name); err != nil {
		return "", err
	}
	return string(kind) + "." + string(t) + "." + name, nil
}

// splitKey is the inverse of objectKey.
func splitKey(key string) (kind Kind, t tenant.ID, name string) {
	k, rest, _ := strings.Cut(key, ".")
	id, name, _ := strings.Cut(rest, ".")
	return Kind(k), tenant.ID(id), name
}

// get returns the record under key and its revision, or [ErrNotFound].
func get[T any](ctx context.Context, b *bucket, key string) (T, uint64, error) {
	var zero T
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return zero, 0, translate(err)
	}
	v, err := decode[T](key, e.Value())
	return v, e.Revision(), err
}

// create stores a record under a key that was never used, or returns [ErrConflict].
func (b *bucket) create(ctx context.Context, key string, v any) (uint64, error) {
	data, err := encode(v)
	if err != nil {
		return 0, err
	}
	if err := b.conn.CheckSpace(len(data)); err != nil {
		return 0, err
	}
	rev, err := b.kv.Create(ctx, key, data)
	return rev, translate(err)
}

// update changes the record under key by compare-and-set and returns it with its revision. change gets the record as it
// is, the zero T when there is none, and may be called several times; it may return errUnchanged, which ends the update
// without a write and without an error, or errBusy, which has it called again a little later.
func update[T any](ctx context.Context, b *bucket, key string, change func(*T) error) (T, uint64, error) {
	for attempt := range maxAttempts {
		v, rev, err := get[T](ctx, b, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return v, 0, err
		}
		err = change(&v)
		switch {
		case errors.Is(err, errUnchanged):
			return v, rev, nil
		case err == nil:
			rev, err = b.put(ctx, key, v, rev)
			if err == nil || !errors.Is(err, ErrConflict) {
				return v, rev, err
			}
		case !errors.Is(err, errBusy):
			return v, 0, err
		}
		if err := pause(ctx, attempt); err != nil {
			return v, 0, err
		}
	}
	var zero T
	return zero, 0, ErrConflict
}

// put stores v if the record still has revision rev; 0 is no record: there never was one, or it was removed.
func (b *bucket) put(ctx context.Context, key string, v any, rev uint64) (uint64, error) {
	data, err := encode(v)
	if err != nil {
		return 0, err
	}
	if err := b.conn.CheckSpace(len(data)); err != nil {
		return 0, err
	}
	if rev == 0 {
		rev, err = b.kv.Create(ctx, key, data) // over the mark of a removal
	} else {
		rev, err = b.kv.Update(ctx, key, data, rev)
	}
	return rev, translate(err)
}

// remove deletes the record under key; there being none is no error.
func (b *bucket) remove(ctx context.Context, key string) error {
	return translate(b.kv.Purge(ctx, key))
}

// erase removes the records under all keys that match pattern without a trace. Those who follow the bucket are not told.
func (b *bucket) erase(ctx context.Context, pattern string) error {
	stream, err := b.conn.js.Stream(ctx, "KV_"+bucketName)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+bucketName+"."+pattern))
	}
	return translate(err)
}

// keys returns the keys that match pattern, sorted.
func (b *bucket) keys(ctx context.Context, pattern string) ([]string, error) {
	var keys []string
	for e, err := range b.entries(ctx, pattern, jetstream.MetaOnly()) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, e.Key())
	}
	slices.Sort(keys)
	return keys, nil
}

// scan yields all records whose keys match pattern, with their keys, as they are at some moment during the scan.
func scan[T any](ctx context.Context, b *bucket, pattern string) iter.Seq2[keyed[T], error] {
	return func(yield func(keyed[T], error) bool) {
		for e, err := range b.entries(ctx, pattern) {
			k := keyed[T]{}
			if err == nil {
				k.key = e.Key()
				k.value, err = decode[T](e.Key(), e.Value())
			}
			if !yield(k, err) || err != nil {
				return
			}
		}
	}
}

type keyed[T any] struct {
	key   string
	value T
}

// entries yields what is there now under the keys that match pattern.
func (b *bucket) entries(ctx context.Context, pattern string, opts ...jetstream.WatchOpt) iter.Seq2[jetstream.KeyValueEntry, error] {
	return func(yield func(jetstream.KeyValueEntry, error) bool) {
		w, err := b.kv.Watch(ctx, pattern, append(opts, jetstream.IgnoreDeletes())...)
		if err != nil {
			yield(nil, translate(err))
			return
		}
		defer stopWatcher(w)
		for {
			select {
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			case e, ok := <-w.Updates():
				if !ok {
					yield(nil, ErrUnavailable)
					return
				}
				if e == nil {
					return // that was all
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// stopWatcher ends w and whatever it still wants to say, so that nothing stays blocked on it.
func stopWatcher(w jetstream.KeyWatcher) {
	_ = w.Stop() // fails only when the connection is closed, and then w has ended
	for range w.Updates() {
	}
}

// pause waits a little, more after more attempts, or until ctx is done.
func pause(ctx context.Context, attempt int) error {
	most := min(time.Millisecond<<min(attempt, 6), 25*time.Millisecond)
	t := time.NewTimer(rand.N(most)) // #nosec G404 -- jitter
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
