// Package control owns what changes: it turns finished uploads into models and plugins and documents into releases, and
// keeps the releases that are called loaded.
//
// Publishing resolves every reference to a digest, checks the graph, loads and warms what it runs, stores the release and
// only then makes it current; requests that run finish on the release they began with, which is closed after the last of
// them. The release before stays loaded, so that a roll-back is one write.
//
// A release holds its models whether or not they are in memory: a request that finds one unloaded has it loaded, once for all that
// wait, and the models used longest ago make room. What a model's runs teach is kept on the disk.
//
// Goroutines: Run follows the catalog, writes down what is learned and removes blobs that are of no use; a model is loaded on a goroutine
// of its own, which Close waits for, anything else on that of the caller that needs it first. Locks: Manager.mu, plans.mu, pool.mu,
// life.mu, shelf.mu, disk.mu and that of each resident; none is held while something is loaded, closed or read from the catalog, but a
// tenant's turn in disk. shares.mu is held while models are told their share; shelf.mu and shares.mu come before a resident's.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/engine"
	"github.com/tandem-serve/tandem/host/sandbox"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/plan"
)

// Models checks and loads model files. runners/onnx is behind it in a server.
type Models interface {
	// Check reports every reason why a file cannot be served, without loading it. The error wraps runners.ErrModel.
	Check(model []byte) error
	// Load loads a model. Its bytes are read until Load returns, not longer. The caller closes the runner.
	Load(ctx context.Context, p LoadParams) (runners.Runner, ModelInfo, error)
}

// LoadParams says what is loaded, and for whom.
type LoadParams struct {
	// Tenant owns the model. What isolates tenants from each other keeps its runner apart from those of others.
	Tenant tenant.ID
	// Label is the model's name@version, for messages.
	Label string
	// Model is the file.
	Model []byte
	// Again opens the file once more, for a runner whose process was started anew; done gives it back. Nil when the runner is
	// not kept that long.
	Again func(ctx context.Context) (model []byte, done func(), err error)
	// Threads work on one operator, the caller's own counted: 0 means those of the pool that all models share, more than 1 the
	// model's own.
	Threads int
	// Spin lets the model's own threads wait actively.
	Spin bool
	// Providers says where the model is to run, as onnx.ParseProviders reads it; text that it does not read is an error that wraps
	// ErrServing. Default: "", what the server is told.
	Providers string
}

// ModelInfo is what a model file says about itself.
type ModelInfo struct {
	Producer string
	Opset    int64
	// Placement is where the model runs, for people: the execution provider, and why not one that was preferred.
	Placement string
	// Device is where most of it runs: "cpu", or an accelerator such as "cuda:0". Default "cpu".
	Device string
	// MemoryBytes is what the loaded model takes. Default 0: not known.
	MemoryBytes int64
}

// Blobs is what the manager needs of a blob store.
type Blobs interface {
	blob.Store
	blob.Uploader
}

// DefaultMaxLoaded is how many releases stay loaded unless the configuration says otherwise.
const DefaultMaxLoaded = 256

// Config configures a Manager. Fields without a default are required.
type Config struct {
	Catalog *catalog.Catalog
	Blobs   Blobs
	Sandbox *sandbox.Host
	Models  Models
	Logger  *slog.Logger
	// Machine is what models share. Default: as many cores as GOMAXPROCS.
	Machine plan.Machine
	// Behind tells whether the work of a tenant goes behind that of others, whose models' runs then do not wait for its own. It must not
	// block. Default: nobody's does.
	Behind func(tenant string) bool
	// ModelMemory bounds the memory of the models that are loaded, in bytes; those used longest ago are unloaded for others, and
	// loaded again when they are called. Default 0: no bound.
	ModelMemory int64
	// LearnedDir is where it is kept what was learned of models by running them. Default: it is not kept.
	LearnedDir string
	// MeasureModels has models measured when they are loaded and nothing is known of them.
	MeasureModels bool
	// Spent is told what plugins use at an upload and when they are started, in the context of whose call it is, at least every
	// millisecond. It must be fast. Default: nobody is told.
	Spent func(context.Context, engine.Spent)
	// Unloaded, when set, is called after a model was unloaded.
	Unloaded func()
	// Limits returns what a tenant may use, from memory. Default: no limits.
	Limits func(tenant.ID) tenant.Limits
	// Owned are other keepers of tenants' things, for the deletion of a tenant. Default none.
	Owned []Owned
	// MaxLoaded bounds the releases that are loaded. For a new one the tenant that has most of them loses the one called longest ago,
	// which is loaded again when it is called. Default DefaultMaxLoaded.
	MaxLoaded int
}

func (c *Config) limits() func(tenant.ID) tenant.Limits {
	if c.Limits != nil {
		return c.Limits
	}
	return func(tenant.ID) tenant.Limits { return tenant.Unlimited() }
}

// Manager is the control plane of one server. Its methods may overlap.
type Manager struct {
	cfg     Config
	models  *pool[modelKey, *resident]
	life    *life
	plugins *pool[pluginKey, *sandbox.Plugin]
	plans   *plans
	disk    *disk

	mu     sync.Mutex          // guards the following
	routes map[graphKey]*route // what the catalog said; an absent one is asked for
	epoch  map[graphKey]uint64 // publishes, deletions and changes elsewhere, counted
	seen   map[graphKey]uint64 // the latest revision that the catalog told anybody
	loaded map[releaseKey]*loaded
	tick   uint64
	closed bool
}

// New returns a manager. The caller runs Run and, at the end, Close.
func New(cfg Config) *Manager {
	if cfg.MaxLoaded <= 0 {
		cfg.MaxLoaded = DefaultMaxLoaded
	}
	return &Manager{
		cfg:     cfg,
		models:  newPool[modelKey, *resident](),
		life:    newLife(cfg),
		plugins: newPool[pluginKey, *sandbox.Plugin](),
		plans:   newPlans(),
		disk:    newDisk(cfg.Catalog, cfg.Blobs),
		routes:  map[graphKey]*route{},
		epoch:   map[graphKey]uint64{},
		seen:    map[graphKey]uint64{},
		loaded:  map[releaseKey]*loaded{},
	}
}

// Run finishes deletions of tenants that were cut short and then follows the catalog until ctx ends, so that a release
// published elsewhere becomes current here too. It returns nil when ctx ended it.
func (m *Manager) Run(ctx context.Context) error {
	var keeping sync.WaitGroup
	defer keeping.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keeping.Go(func() { m.life.run(ctx) })
	keeping.Go(func() { m.collectSpares(ctx) })
	m.finishDeletions(ctx)
	for change, err := range m.cfg.Catalog.Watch(ctx, catalog.KindGraph) {
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("follow the catalog: %w", err)
		case change.Deleted:
			m.drop(graphKey{change.Tenant, change.Name}, nil)
		case !change.Synced:
			m.follow(ctx, graphKey{change.Tenant, change.Name})
		}
	}
	return nil
}

// Close closes what is loaded as soon as no request uses it any more and refuses to load more.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	var idle []*loaded
	for key := range m.loaded {
		idle = m.takeLocked(key, idle)
	}
	m.mu.Unlock()
	closeAll(idle)
	m.life.loads.Wait()
}
