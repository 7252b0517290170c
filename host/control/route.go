package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/value"
)

// Call is what a release may be chosen by.
type Call struct {
	// Key makes calls with the same key go to the same release while there is a canary; "" leaves it to the canary's own
	// expression, and when that is absent too, to chance.
	Key string
	// Inputs are the call's, by name.
	Inputs map[string]value.Value
}

// route says where the calls of a graph go. It is immutable.
type route struct {
	rev     uint64
	epoch   uint64 // of the graph, when the catalog was asked
	current int
	tags    map[string]int
	canary  *canary
}

// canary is a route's canary with what is known about it here.
type canary struct {
	catalog.Canary
	retry atomic.Int64 // before this moment, in Unix nanoseconds, it is not loaded again

	once sync.Once // guards the following, which are set once
	expr *graph.Expr
	err  error
}

// canaryRetry is how long a canary that could not be loaded gets no calls before it is tried again.
const canaryRetry = 10 * time.Second

func routeOf(g catalog.Graph, epoch uint64) *route {
	r := &route{rev: g.Revision, epoch: epoch, current: g.Current, tags: g.Tags}
	if g.Canary != nil {
		r.canary = &canary{Canary: *g.Canary}
	}
	return r
}

// live reports whether calls go to a release without naming its version.
func (r *route) live(version int) bool {
	return slices.Contains(slices.Collect(maps.Values(r.tags)), version)
}

// Acquire returns the release that ref means for a call, loaded: "name" is the current one or, for its share of the calls,
// the canary; "name@3", "name@tag" and "name@sha256:..." name one. A canary that cannot be loaded gets no calls. Errors
// are catalog.ErrNotFound, catalog.ErrInvalid, ErrClosed, and whatever loading may fail with.
func (m *Manager) Acquire(ctx context.Context, t tenant.ID, ref string, c Call) (*Lease, error) {
	name, at := split(ref)
	g := graphKey{t, name}
	lease, r, err := m.acquire(ctx, g, at)
	if err != nil || at != "" || r.canary == nil {
		return lease, err
	}
	if !m.choose(ctx, g, r.canary, lease.Release, c) {
		return lease, nil
	}
	chosen, err := m.lease(ctx, g, r.canary.Version, r.epoch)
	if err != nil {
		r.canary.retry.Store(time.Now().Add(canaryRetry).UnixNano())
		m.cfg.Logger.WarnContext(ctx, "the canary gets no calls: it cannot be loaded", slog.String("tenant", string(t)),
			slog.String("graph", name), slog.Int("version", r.canary.Version), slog.Any("error", err))
		return lease, nil
	}
	lease.Done()
	return chosen, nil
}

// acquire returns a release by what stands behind the name, and the route when it took one.
func (m *Manager) acquire(ctx context.Context, g graphKey, at string) (*Lease, *route, error) {
	if version, err := strconv.Atoi(at); err == nil {
		lease, err := m.lease(ctx, g, version, m.now(g))
		return lease, nil, err
	}
	if strings.HasPrefix(at, "sha256:") {
		since := m.now(g)
		rel, err := m.cfg.Catalog.GetGraph(ctx, g.tenant, g.name, at)
		if err != nil {
			return nil, nil, err
		}
		lease, err := m.lease(ctx, g, rel.Version, since)
		return lease, nil, err
	}
	for again := false; ; again = true {
		r, cached, err := m.route(ctx, g)
		if err != nil {
			return nil, nil, err
		}
		version := r.current
		if at != "" {
			version = r.tags[at]
		}
		lease, err := m.lease(ctx, g, version, r.epoch)
		if version == 0 {
			err = m.noTag(g, at)
		}
		// What we knew may be out of date: another server moved the graph on.
		if !cached || again || !errors.Is(err, catalog.ErrNotFound) {
			return lease, r, err
		}
		m.forget(g)
	}
}

func (m *Manager) noTag(g graphKey, at string) error {
	if err := tenant.CheckTag(at); err != nil {
		return fmt.Errorf("%w: graph %s@%.40s: %w", catalog.ErrInvalid, g.name, at, err)
	}
	return fmt.Errorf("graph %s@%s: %w", g.name, at, catalog.ErrNotFound)
}

// choose reports whether a call goes to the canary. The answer is no when its key cannot be found: a canary fails no call.
func (m *Manager) choose(ctx context.Context, g graphKey, c *canary, current *engine.Release, call Call) bool {
	if time.Now().UnixNano() < c.retry.Load() {
		return false
	}
	const places = 10_000
	share := c.Percent / 100 * places
	if call.Key == "" && c.Sticky == "" {
		return rand.Float64()*places < share //nolint:gosec // traffic is divided, no secret depends on it
	}
	var key any = call.Key
	if call.Key == "" {
		var err error
		if key, err = c.key(current, call.Inputs); err != nil {
			m.cfg.Logger.DebugContext(ctx, "a call has no key for the canary", slog.String("graph", g.name), slog.Any("error", err))
			return false
		}
	}
	// The release is part of the key: not the same callers try every new release.
	place, err := engine.Place([]any{g.name, c.Version, key}, places)
	return err == nil && float64(place) < share
}

// key evaluates the canary's expression.
func (c *canary) key(current *engine.Release, in map[string]value.Value) (any, error) {
	c.once.Do(func() { c.expr, c.err = graph.CompileSticky(c.Sticky, current.Plan.Inputs) })
	if c.err != nil {
		return nil, c.err
	}
	return engine.StickyKey(c.expr, current.Plan.Inputs, in)
}

// route returns where the calls of a graph go, and whether that was known without asking the catalog.
func (m *Manager) route(ctx context.Context, g graphKey) (r *route, cached bool, err error) {
	m.mu.Lock()
	r, before := m.routes[g], m.epoch[g]
	m.mu.Unlock()
	if r != nil {
		return r, true, nil
	}
	state, err := m.cfg.Catalog.DescribeGraph(ctx, g.tenant, g.name)
	if err != nil {
		return nil, false, err
	}
	r = routeOf(state, before)
	m.mu.Lock()
	idle := m.learnLocked(g, r, before)
	m.mu.Unlock()
	closeAll(idle)
	return r, false, nil
}

// learnLocked takes in what the catalog said when it was asked at the graph's epoch before, and returns what nobody needs any more.
func (m *Manager) learnLocked(g graphKey, r *route, before uint64) []*loaded {
	m.seen[g] = max(m.seen[g], r.rev)
	known := m.routes[g]
	switch {
	// What the catalog said before something happened to the graph is not kept, nor what is older than somebody was told.
	case m.epoch[g] == before && r.rev == m.seen[g] && (known == nil || known.rev < r.rev):
		m.routes[g] = r
		return m.settleLocked(g, r)
	// Who asked is told r. What somebody else kept meanwhile must not come after it.
	case known != nil && known.rev < m.seen[g]:
		m.forgetLocked(g)
	}
	return nil
}

// moved notes what this server just did to a graph.
func (m *Manager) moved(t tenant.ID, state catalog.Graph) {
	g := graphKey{t, state.Name}
	m.mu.Lock()
	var idle []*loaded
	m.seen[g] = max(m.seen[g], state.Revision)
	if known := m.routes[g]; state.Revision == m.seen[g] && (known == nil || known.rev < state.Revision) {
		m.forgetLocked(g)
		r := routeOf(state, m.epoch[g])
		m.routes[g] = r
		idle = m.settleLocked(g, r)
	}
	m.mu.Unlock()
	closeAll(idle)
}

// follow reads a graph again that was changed or deleted, perhaps by another server, and closes what calls do not go to any more.
func (m *Manager) follow(ctx context.Context, g graphKey) {
	m.mu.Lock()
	m.forgetLocked(g)
	used := false
	for k := range m.loaded {
		used = used || k.graphKey == g
	}
	m.mu.Unlock()
	if !used {
		return
	}
	if _, _, err := m.route(ctx, g); errors.Is(err, catalog.ErrNotFound) { // after another error the next call asks again
		m.drop(g, nil)
	}
}

// now returns the graph's epoch.
func (m *Manager) now(g graphKey) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch[g]
}

// forget makes the next call ask the catalog where the calls of a graph go.
func (m *Manager) forget(g graphKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(g)
}

func (m *Manager) forgetLocked(g graphKey) {
	delete(m.routes, g)
	m.epoch[g]++
}
