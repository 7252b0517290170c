package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
)

// ErrClosed: the manager is closed; the server is stopping.
var ErrClosed = errors.New("the server is stopping")

type graphKey struct {
	tenant tenant.ID
	name   string
}

type releaseKey struct {
	graphKey
	version int
}

// loaded is a release with all that it runs. Its counters are guarded by Manager.mu.
type loaded struct {
	release  *engine.Release
	giveBack []func()
	users    int    // requests that run on it
	dropped  bool   // nobody finds it any more
	used     uint64 // Manager.tick of the last request
}

// Lease keeps a release loaded while a request runs on it.
type Lease struct {
	Release *engine.Release
	m       *Manager
	l       *loaded
}

// Retain keeps the release loaded beyond Done, for what runs on after a request, until the returned function is called,
// once. Call it before Done.
func (l *Lease) Retain() (done func()) {
	l.m.mu.Lock()
	l.l.users++
	l.m.mu.Unlock()
	return (&Lease{Release: l.Release, m: l.m, l: l.l}).Done
}

// Done gives the release back; call it once.
func (l *Lease) Done() {
	l.m.mu.Lock()
	l.l.users--
	last := l.l.dropped && l.l.users == 0
	l.m.mu.Unlock()
	if last {
		l.l.close()
	}
}

// lease returns a release by its version, loading it when it is not. It was chosen at the graph's epoch since: one that calls do not go
// to any more when it is loaded stays for this call only. Errors are catalog.ErrNotFound, ErrClosed, and whatever loading may fail
// with.
func (m *Manager) lease(ctx context.Context, g graphKey, version int, since uint64) (*Lease, error) {
	if lease, err := m.find(g, version); lease != nil || err != nil {
		return lease, err
	}
	rel, err := m.cfg.Catalog.GetGraph(ctx, g.tenant, g.name, strconv.Itoa(version))
	if err != nil {
		return nil, err
	}
	plan, err := m.Plan(ctx, rel)
	if err != nil {
		return nil, fmt.Errorf("graph %s@%d: %w", rel.Name, rel.Version, err)
	}
	l, err := m.load(ctx, g.tenant, plan, rel.Pins)
	if err != nil {
		return nil, err
	}
	lease := m.keep(releaseKey{g, rel.Version}, l)
	if lease == nil {
		return nil, ErrClosed
	}
	if m.now(g) != since {
		m.follow(ctx, g)
	}
	return lease, nil
}

// find returns a lease of a release that is loaded, or nil.
func (m *Manager) find(g graphKey, version int) (*Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	l := m.loaded[releaseKey{g, version}]
	if l == nil {
		return nil, nil //nolint:nilnil // it is not loaded
	}
	m.tick++
	l.used = m.tick
	l.users++
	return &Lease{Release: l.release, m: m, l: l}, nil
}

// keep puts l where requests find it, closes what has to go for it, and returns a lease, so that it stays for whoever loaded it even
// when calls went elsewhere meanwhile. When the same release was loaded meanwhile, l is closed and the lease is of that one. When the
// manager is closed, l is closed and the lease is nil.
func (m *Manager) keep(key releaseKey, l *loaded) *Lease {
	l.release.Version = key.version
	m.mu.Lock()
	var idle []*loaded
	kept := m.loaded[key]
	switch {
	case m.closed:
		idle, kept = append(idle, l), nil
	case kept != nil:
		idle = append(idle, l)
	default:
		kept = l
		m.loaded[key] = l
		idle = m.evictLocked(key)
	}
	var lease *Lease
	if kept != nil {
		m.tick++
		kept.used = m.tick
		kept.users++
		lease = &Lease{Release: kept.release, m: m, l: kept}
	}
	m.mu.Unlock()
	closeAll(idle)
	return lease
}

// evictLocked takes out releases other than key while there are too many, and returns those that can be closed now.
func (m *Manager) evictLocked(key releaseKey) []*loaded {
	var idle []*loaded
	for len(m.loaded) > m.cfg.MaxLoaded {
		idle = m.takeLocked(m.victimLocked(key), idle)
	}
	return idle
}

// victimLocked returns the release that makes room for key: one of the tenant that has most of them, so that nobody loses any to a tenant
// that has more; of these the one called longest ago, current ones last.
func (m *Manager) victimLocked(key releaseKey) releaseKey {
	held := map[tenant.ID]int{}
	for k := range m.loaded {
		held[k.tenant]++
	}
	rank := func(a, b releaseKey) int {
		return cmp.Or(
			cmp.Compare(held[b.tenant], held[a.tenant]),
			cmp.Compare(m.currentLocked(a), m.currentLocked(b)),
			cmp.Compare(m.loaded[a].used, m.loaded[b].used),
		)
	}
	others := slices.DeleteFunc(slices.Collect(maps.Keys(m.loaded)), func(k releaseKey) bool { return k == key })
	return slices.MinFunc(others, rank)
}

// currentLocked returns 1 for the current release of a graph, 0 for others.
func (m *Manager) currentLocked(k releaseKey) int {
	if r := m.routes[k.graphKey]; r != nil && r.current == k.version {
		return 1
	}
	return 0
}

// settleLocked takes out the releases of a graph that calls go to by their version only, and returns those that can be
// closed now. Those that are called again are loaded again.
func (m *Manager) settleLocked(g graphKey, r *route) []*loaded {
	var idle []*loaded
	for k := range m.loaded {
		if k.graphKey == g && !r.live(k.version) {
			idle = m.takeLocked(k, idle)
		}
	}
	return idle
}

// takeLocked takes a release out, and appends it to idle when it can be closed at once.
func (m *Manager) takeLocked(k releaseKey, idle []*loaded) []*loaded {
	l := m.loaded[k]
	delete(m.loaded, k)
	if l.dropLocked() {
		idle = append(idle, l)
	}
	return idle
}

// drop takes out releases of a graph; nil means all.
func (m *Manager) drop(g graphKey, versions []int) {
	m.mu.Lock()
	var idle []*loaded
	m.forgetLocked(g)
	for k := range m.loaded {
		if k.graphKey == g && (versions == nil || slices.Contains(versions, k.version)) {
			idle = m.takeLocked(k, idle)
		}
	}
	m.mu.Unlock()
	closeAll(idle)
}

func closeAll(ls []*loaded) {
	for _, l := range ls {
		l.close()
	}
}

// dropLocked marks l as found by nobody and reports whether it can be closed at once; otherwise its last lease does.
func (l *loaded) dropLocked() bool {
	l.dropped = true
	return l.users == 0
}

// close gives back what the release runs.
func (l *loaded) close() {
	for _, f := range l.giveBack {
		f()
	}
	l.giveBack = nil
}

func (m *Manager) closeModel(r *resident) {
	if err := r.Close(); err != nil {
		m.cfg.Logger.Error("close model", slog.Any("error", err))
	}
}

func (m *Manager) closePlugin(p *sandbox.Plugin) {
	if err := p.Close(); err != nil {
		m.cfg.Logger.Error("close plugin", slog.Any("error", err))
	}
}
