package engine

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/value"
	"github.com/tandem-serve/tandem/internal/pieces"
)

// cache keeps answers of nodes by everything that they depend on. Two keys are equal when every byte of them is: the hash
// only finds candidates. Answers of one tenant are never found by another.
//
// It is full when a shelf, a tenant or all together hold more than their bytes: the answers that were used longest ago make
// room, on the shelf, of the tenant, of the tenant that holds most.
type cache struct {
	seed        maphash.Seed
	maxBytes    int64
	tenantBytes int64
	maxEntries  int

	mu      sync.Mutex // guards the following, and every entry's fields but key, done, a and err
	m       map[uint64][]*entry
	tenants map[string]*holder
	bytes   int64
	entries int
	evicted int64
	tick    uint64
}

// cacheKey is what an answer depends on.
type cacheKey struct {
	tenant string
	// target is the identity of what ran: digests, function and configuration.
	target string
	in     []value.Value
}

// holder is what one tenant keeps.
type holder struct {
	bytes   int64
	shelves map[string]*shelf // by target
}

// shelf is what the answers of one target take, the one used last in front.
type shelf struct {
	bytes   int64
	entries list.List // of *entry
}

// entry is one answer, or the run that will give it.
type entry struct {
	key     cacheKey
	hash    uint64
	done    chan struct{} // closed when a or err is set
	a       *answer       // owned by the collector
	err     error
	size    int64
	used    uint64
	expires time.Time
	place   *list.Element // nil while it runs
}

func newCache(maxBytes, tenantBytes int64, entries int) *cache {
	return &cache{
		seed: maphash.MakeSeed(), maxBytes: maxBytes, tenantBytes: tenantBytes, maxEntries: entries,
		m: map[uint64][]*entry{}, tenants: map[string]*holder{},
	}
}

// find returns the entry for a key and whether the caller has to run what fills it. Such a caller calls fill or fail.
func (c *cache) find(key cacheKey) (e *entry, mine bool) {
	hash := c.hash(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tick++
	for _, e := range c.m[hash] {
		if !e.key.equal(key) {
			continue
		}
		if e.place != nil && !e.expires.IsZero() && !time.Now().Before(e.expires) {
			c.removeLocked(e)
			break
		}
		e.used = c.tick
		if e.place != nil {
			c.tenants[key.tenant].shelves[key.target].entries.MoveToFront(e.place)
		}
		return e, false
	}
	e = &entry{key: key, hash: hash, done: make(chan struct{}), used: c.tick}
	c.m[hash] = append(c.m[hash], e)
	return e, true
}

// fill keeps an answer, which the entry takes over, when there is room for it, and wakes those that wait.
func (c *cache) fill(e *entry, a *answer, ttl time.Duration, most int64) {
	e.a = a
	e.size = entryOverhead + int64(len(e.key.target)) + sizeOf(a.values) + sizeOf(e.key.in)
	fits := e.size <= min(c.tenantBytes, c.maxBytes) && (most <= 0 || e.size <= most)
	var in []value.Value
	if fits {
		in = detachAll(e.key.in) // it outlives the request whose memory the key reads until now
	}
	c.mu.Lock()
	if fits {
		e.key.in = in
		if ttl > 0 {
			e.expires = time.Now().Add(ttl)
		}
		c.putLocked(e, most)
	} else {
		c.forgetLocked(e)
	}
	c.mu.Unlock()
	close(e.done)
}

// entryOverhead is about what an entry takes beside its bytes.
const entryOverhead = 512

// fail wakes those that wait for a run that gave no answer.
func (c *cache) fail(e *entry, err error) {
	e.err = err
	c.mu.Lock()
	c.forgetLocked(e)
	c.mu.Unlock()
	close(e.done)
}

func (c *cache) putLocked(e *entry, most int64) {
	t := c.tenants[e.key.tenant]
	if t == nil {
		t = &holder{shelves: map[string]*shelf{}}
		c.tenants[e.key.tenant] = t
	}
	s := t.shelves[e.key.target]
	if s == nil {
		s = &shelf{}
		t.shelves[e.key.target] = s
	}
	e.place = s.entries.PushFront(e)
	s.bytes, t.bytes, c.bytes, c.entries = s.bytes+e.size, t.bytes+e.size, c.bytes+e.size, c.entries+1
	for most > 0 && s.bytes > most {
		c.evictLocked(s.entries.Back())
	}
	for t.bytes > c.tenantBytes {
		c.evictLocked(t.oldest())
	}
	for c.bytes > c.maxBytes || c.entries > c.maxEntries {
		c.evictLocked(c.largestLocked().oldest())
	}
}

// oldest returns the place of what the tenant used longest ago.
func (t *holder) oldest() *list.Element {
	var found *list.Element
	for _, s := range t.shelves {
		back := s.entries.Back()
		if found == nil || entryOf(back).used < entryOf(found).used {
			found = back
		}
	}
	return found
}

// entryOf returns what a list holds.
func entryOf(at *list.Element) *entry {
	e, _ := at.Value.(*entry) // it holds nothing else
	return e
}

func (c *cache) largestLocked() *holder {
	var found *holder
	for _, t := range c.tenants {
		if found == nil || t.bytes > found.bytes {
			found = t
		}
	}
	return found
}

func (c *cache) evictLocked(at *list.Element) {
	c.evicted++
	c.removeLocked(entryOf(at))
}

// removeLocked takes out an entry that has its answer.
func (c *cache) removeLocked(e *entry) {
	t := c.tenants[e.key.tenant]
	s := t.shelves[e.key.target]
	s.entries.Remove(e.place)
	s.bytes, t.bytes, c.bytes, c.entries = s.bytes-e.size, t.bytes-e.size, c.bytes-e.size, c.entries-1
	if s.entries.Len() == 0 {
		delete(t.shelves, e.key.target)
	}
	if len(t.shelves) == 0 {
		delete(c.tenants, e.key.tenant)
	}
	c.forgetLocked(e)
}

// forgetLocked makes an entry one that nobody finds.
func (c *cache) forgetLocked(e *entry) {
	rest := slices.DeleteFunc(c.m[e.hash], func(other *entry) bool { return other == e })
	if len(rest) == 0 {
		delete(c.m, e.hash)
	} else {
		c.m[e.hash] = rest
	}
}

// fills returns what is kept and how many answers made room.
func (c *cache) fills() (size int64, entries int, evicted int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes, c.entries, c.evicted
}

func (c *cache) hash(key cacheKey) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.WriteString(key.tenant) // a hash takes everything
	_, _ = h.WriteString(key.target)
	for i := range key.in {
		hashValue(&h, &key.in[i])
	}
	return h.Sum64()
}

func hashValue(h *maphash.Hash, v *value.Value) {
	var head [10]byte
	head[0], head[1] = byte(v.Kind), byte(v.DType)
	binary.LittleEndian.PutUint64(head[2:], uint64(len(v.Data)))
	_, _ = h.Write(head[:])
	for _, d := range v.Shape {
		binary.LittleEndian.PutUint64(head[2:], uint64(d))
		_, _ = h.Write(head[2:])
	}
	_, _ = h.WriteString(v.Media)
	_, _ = h.Write(v.Data)
	for i := range v.Items {
		hashValue(h, &v.Items[i])
	}
}

func (k cacheKey) equal(other cacheKey) bool {
	return k.tenant == other.tenant && k.target == other.target && slices.EqualFunc(k.in, other.in, equalValue)
}

func equalValue(a, b value.Value) bool {
	return a.Kind == b.Kind && a.DType == b.DType && a.Media == b.Media && slices.Equal(a.Shape, b.Shape) &&
		pieces.Equal(a.Data, b.Data) && slices.EqualFunc(a.Items, b.Items, equalValue)
}

func sizeOf(vs []value.Value) (n int64) {
	for i := range vs {
		n += vs[i].Size() + int64(len(vs[i].Media)) + valueOverhead*int64(1+len(vs[i].Items))
	}
	return n
}

// valueOverhead is about what a value takes beside its bytes.
const valueOverhead = 128

func detachAll(vs []value.Value) []value.Value {
	out := make([]value.Value, len(vs))
	for i := range vs {
		out[i] = detach(vs[i])
		out[i].Shape = slices.Clone(vs[i].Shape)
	}
	return out
}
