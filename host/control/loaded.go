package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/tandem-serve/tandem/host/catalog"
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

// Acquire returns the release that ref names ("name", the current one, or "name@3"), loaded. Errors are
// catalog.ErrNotFound, catalog.ErrInvalid, ErrClosed, and whatever loading may fail with.
func (m *Manager) Acquire(ctx context.Context, t tenant.ID, ref string) (*Lease, error) {
	name, at := split(ref)
	g := graphKey{t, name}
	if lease, err := m.find(g, at); lease != nil || err != nil {
		return lease, err
	}
	before := m.epochOf(g)
	rel, err := m.cfg.Catalog.GetGraph(ctx, t, name, at)
	if err != nil {
		return nil, err
	}
	if lease, err := m.find(g, strconv.Itoa(rel.Version)); lease != nil || err != nil {
		m.remember(g, at, rel.Version, before)
		return lease, err
	}
	plan, err := m.Plan(ctx, rel)
	if err != nil {
		return nil, fmt.Errorf("graph %s@%d: %w", rel.Name, rel.Version, err)
	}
	l, err := m.load(ctx, t, plan, rel.Pins)
	if err != nil {
		return nil, err
	}
	m.keep(releaseKey{g, rel.Version}, l)
	m.remember(g, at, rel.Version, before)
	if lease, err := m.find(g, strconv.Itoa(rel.Version)); lease != nil || err != nil {
		return lease, err
	}
	// It was closed for others before we got hold of it: a server that is far too small for what is asked of it.
	return nil, fmt.Errorf("graph %s: too many releases are called at once for %d that may be loaded", name, m.cfg.MaxLoaded)
}

// find returns a lease when the release is loaded and its version known without asking the catalog.
func (m *Manager) find(g graphKey, at string) (*Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	version, err := strconv.Atoi(at)
	if err != nil {
		if at != "" {
			return nil, nil
		}
		version = m.current[g]
	}
	l := m.loaded[releaseKey{g, version}]
	if l == nil {
		return nil, nil
	}
	m.tick++
	l.used = m.tick
	l.users++
	return &Lease{Release: l.release, m: m, l: l}, nil
}

// epochOf counts what happened to a graph. What the catalog said before something happened is not believed afterwards.
func (m *Manager) epochOf(g graphKey) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch[g]
}

// remember notes the current version of a graph as the catalog gave it, unless something happened to the graph since the
// epoch before, or somebody read a later one meanwhile.
func (m *Manager) remember(g graphKey, at string, version int, before uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at == "" && m.epoch[g] == before && m.current[g] < version {
		m.current[g] = version
	}
}

// forget makes the next call ask the catalog which version is current.
func (m *Manager) forget(g graphKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forgetLocked(g)
}

func (m *Manager) forgetLocked(g graphKey) {
	delete(m.current, g)
	m.epoch[g]++
}

// install keeps a release that was just published. Which of two that were published at once is current is the catalog's
// to say, so the next call asks it.
func (m *Manager) install(t tenant.ID, rel catalog.Release, l *loaded) {
	g := graphKey{t, rel.Name}
	m.keep(releaseKey{g, rel.Version}, l)
	m.forget(g)
}

// keep puts l where requests find it and closes what has to go for it. When the same release was loaded meanwhile, l is
// closed.
func (m *Manager) keep(key releaseKey, l *loaded) {
	l.release.Version = key.version
	m.mu.Lock()
	if m.loaded[key] != nil {
		m.mu.Unlock()
		l.close()
		return
	}
	m.tick++
	l.used = m.tick
	var idle []*loaded
	if m.closed {
		idle = append(idle, l)
	} else {
		m.loaded[key] = l
		idle = m.evictLocked(key)
	}
	m.mu.Unlock()
	for _, old := range idle {
		old.close()
	}
}

// evictLocked takes out other releases of the same graph that nobody is using, then the ones called longest ago while
// there are too many, and returns those that can be closed now.
func (m *Manager) evictLocked(key releaseKey) []*loaded {
	var idle []*loaded
	take := func(k releaseKey) {
		l := m.loaded[k]
		delete(m.loaded, k)
		if l.dropLocked() {
			idle = append(idle, l)
		}
	}
	if m.current[key.graphKey] < key.version {
		for k := range m.loaded {
			if k.graphKey == key.graphKey && k.version < key.version {
				take(k)
			}
		}
	}
	for len(m.loaded) > m.cfg.MaxLoaded {
		oldest := key
		for k, l := range m.loaded {
			if k != key && (oldest == key || l.used < m.loaded[oldest].used) {
				oldest = k
			}
		}
		take(oldest)
	}
	return idle
}

// drop takes out all releases of a graph.
func (m *Manager) drop(g graphKey) {
	m.mu.Lock()
	var idle []*loaded
	m.forgetLocked(g)
	for k, l := range m.loaded {
		if k.graphKey != g {
			continue
		}
		delete(m.loaded, k)
		if l.dropLocked() {
			idle = append(idle, l)
		}
	}
	m.mu.Unlock()
	for _, l := range idle {
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

func (m *Manager) closeModel(r *loadedModel) {
	if err := r.Close(); err != nil {
		m.cfg.Logger.Error("close model", slog.Any("error", err))
	}
}

func (m *Manager) closePlugin(p *sandbox.Plugin) {
	if err := p.Close(); err != nil {
		m.cfg.Logger.Error("close plugin", slog.Any("error", err))
	}
}
