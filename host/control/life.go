package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// life is what the models of a manager share: their memory, the resource plan, what was learned of them.
type life struct {
	models   Models
	blobs    blob.Store
	log      *slog.Logger
	measure  bool
	unloaded func() // called after a model was unloaded
	shelf    *shelf
	shares   *shares
	memory   *memory
	loads    sync.WaitGroup

	mu  sync.Mutex // mu guards the following
	all map[*resident]struct{}
}

func newLife(cfg Config) *life {
	return &life{
		models: cfg.Models, blobs: cfg.Blobs, log: cfg.Logger, measure: cfg.MeasureModels, unloaded: cfg.Unloaded,
		shelf: newShelf(cfg.ModelMemory, cfg.limits()), shares: newShares(cfg.Machine, cfg.Behind), memory: &memory{dir: cfg.LearnedDir, log: cfg.Logger},
		all: map[*resident]struct{}{},
	}
}

// resident returns a model that is not in memory yet. The caller closes it.
func (f *life) resident(key modelKey, label string, size int64, serving Serving) *resident {
	r := &resident{life: f, key: key, label: label, size: size, serving: serving}
	f.mu.Lock()
	f.all[r] = struct{}{}
	f.mu.Unlock()
	return r
}

func (f *life) remove(r *resident) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, r)
}

// residents returns all models that releases hold.
func (f *life) residents() []*resident {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*resident, 0, len(f.all))
	for r := range f.all {
		out = append(out, r)
	}
	return out
}

// keepEvery is how often what was learned is written down while models stay loaded.
const keepEvery = time.Minute

// run writes down what is learned, and has models measured again that were measured on a busy machine and that nobody calls, until ctx
// ends.
func (f *life) run(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	written := map[*resident]uint64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		written = f.tend(ctx, written)
	}
}

// tend goes through the models once. written has the runs of each that are written down, as the last tend returned them.
func (f *life) tend(ctx context.Context, written map[*resident]uint64) map[*resident]uint64 {
	seen := map[*resident]uint64{}
	for _, r := range f.residents() {
		r.mu.Lock()
		l := r.current
		r.mu.Unlock()
		if l == nil {
			continue
		}
		seen[r] = l.batcher.Stats().Runs
		switch {
		case seen[r] != written[r]:
			r.keep(l)
		case f.measure && r.stale():
			r.measureAgain(ctx)
			seen[r] = 0
		}
	}
	return seen
}

// load brings the model into memory: it makes room, decides by the plan how the model runs, measuring it the first time, and warms
// it.
func (r *resident) load(ctx context.Context) (*live, error) {
	b, err := r.life.blobs.Open(ctx, r.key.digest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }() // nothing was written
	known := r.life.memory.read(ctx, r.key)
	if err := r.life.shelf.reserve(ctx, r, r.estimate(known)); err != nil {
		return nil, fmt.Errorf("model %s: %w", r.label, err)
	}
	l, err := r.open(ctx, b.Bytes(), known)
	if err != nil {
		r.life.shares.remove(r)
		r.life.shelf.free(r)
		return nil, err
	}
	r.life.shelf.trim(r)
	return l, nil
}

// estimate returns what the model is expected to take in memory: what is known of it here, else half more than its files have. What
// its owner declares can only raise that, for the owner is who the quota bounds.
func (r *resident) estimate(known learned) int64 {
	expected := known.MemoryBytes
	if expected == 0 {
		expected = r.least() + r.least()/2
	}
	return max(expected, r.least(), r.serving.MemoryBytes)
}

// least returns what the model takes at any rate, in bytes: every instance has the weights of the file for itself.
func (r *resident) least() int64 { return r.size * int64(max(r.serving.Instances, 1)) }

// open loads the file and puts a batcher in front of it.
func (r *resident) open(ctx context.Context, file []byte, known learned) (*live, error) {
	before := residentBytes()
	o := &opening{resident: r, file: file, known: known}
	err := o.open(ctx)
	if err == nil {
		o.known.MemoryBytes, err = r.settle(o.info, o.known.MemoryBytes, residentBytes()-before)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	share := o.share
	l := &live{drained: make(chan struct{})}
	l.seat = r.life.shares.gate.Seat(share.Device, string(r.key.tenant), func() { l.batcher.Wake() })
	config := r.serving.batching()
	config.Concurrency, config.Slots, config.Cost = share.Concurrency, l.seat, o.known.Cost
	if share.Batched {
		config.MaxRows = share.MaxRows
	}
	if config.MaxQueueRows == 0 {
		config.MaxQueueRows = 64 * max(config.MaxRows, plan.DefaultMaxRows)
	}
	l.batcher = batch.New(o.runner, config)
	l.seat.Keep(&share)
	r.mu.Lock()
	r.signature, r.info, r.note, r.known = o.runner.Signature(), o.info, o.note, o.known
	r.mu.Unlock()
	r.keep(l)
	return l, nil
}

// settle notes what the model takes and returns it: what its runner says, or else as the process grew now or an earlier time, and no
// less than its owner declared and its files have. How the process grows says little: others grow too, and memory that was free before
// is used again; where the owner declared something it is not asked. When the runner says more than there can ever be room for, the
// errors are those of shelf.reserve.
func (r *resident) settle(info ModelInfo, earlier, grown int64) (int64, error) {
	bytes := r.estimate(learned{MemoryBytes: info.MemoryBytes})
	if info.MemoryBytes == 0 && r.serving.MemoryBytes == 0 {
		bytes = min(max(grown, earlier, bytes), 4*bytes+(64<<20))
	}
	r.life.shelf.settle(r, bytes)
	if info.MemoryBytes == 0 {
		return bytes, nil
	}
	if err := r.life.shelf.check(r, r.life.shelf.limits(r.key.tenant), bytes); err != nil {
		return 0, fmt.Errorf("model %s: %w", r.label, err)
	}
	return bytes, nil
}

// residentBytes returns the memory of this process, 0 where the system does not say.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// opening is a model on its way into memory.
type opening struct {
	*resident
	file   []byte
	known  learned
	share  plan.Share
	runner runners.Runner
	info   ModelInfo
	note   string
	warm   warmed

	started int // threads that it was loaded with, as LoadParams has them
}

// close gives up what was opened.
func (o *opening) close() error {
	if o.runner == nil {
		return nil
	}
	err := o.runner.Close()
	o.runner = nil
	return err
}

func (o *opening) open(ctx context.Context) error {
	if o.measures() {
		return o.openMeasured(ctx)
	}
	o.plan()
	if err := o.start(ctx, o.share.Instances, o.threads()); err != nil {
		return err
	}
	o.plan() // with its device, and whether its requests share runs
	return nil
}

// measureLargest is the largest file that is loaded twice to be measured.
const measureLargest = 256 << 20

// measures reports whether the model has to be measured: nothing is known of it here, or it was measured on a busy machine, and its owner
// leaves the choice to us.
func (o *opening) measures() bool {
	known := &o.known.Measured
	return o.life.measure && len(o.file) <= measureLargest && (len(known.Threads)+len(known.Rows) == 0 || known.Stale(time.Now()))
}

// openMeasured loads the model on the threads of the pool and, if that is a choice, on one thread, measures both, and keeps the one
// that the plan chooses.
func (o *opening) openMeasured(ctx context.Context) error {
	whole := o.life.shares.machine().Whole()
	first := 0
	if whole == 1 {
		first = 1
	}
	if err := o.start(ctx, 1, first); err != nil {
		return err
	}
	tries := o.known.Measured.Tries
	o.known.Measured = plan.Measured{}
	if o.onCPU() && whole > 1 && o.serving.Threads == 0 {
		if err := o.compare(ctx, whole); err != nil {
			return err
		}
	}
	if o.known.Measured.Busy {
		o.known.Measured.Tries = tries + 1
	}
	o.known.Measured.Rows = measureRowsOf(ctx, o.runner, o.warm, &o.known.Cost)
	o.plan()
	if o.threads() == o.started && o.share.Instances == 1 {
		return nil
	}
	if err := o.close(); err != nil {
		return err
	}
	return o.start(ctx, o.share.Instances, o.threads())
}

// compare loads the model a second time, on one thread, measures both in turns, and keeps the better one.
func (o *opening) compare(ctx context.Context, whole int) error {
	in := o.warm.sample()
	if in == nil {
		return nil
	}
	alone := &opening{resident: o.resident, file: o.file}
	if err := alone.start(ctx, 1, 1); err != nil {
		return errors.Join(err, alone.close())
	}
	measured, err := plan.Compare(ctx, alone.runner, o.runner, whole, in)
	if err != nil {
		return errors.Join(ctx.Err(), alone.close()) // a model that fails now and then is not measured
	}
	o.known.Measured = measured
	o.plan()
	if o.threads() != 1 {
		return alone.close()
	}
	err = o.close()
	o.runner, o.info, o.warm, o.note, o.started = alone.runner, alone.info, alone.warm, alone.note, 1
	return err
}

// again is LoadParams.Again.
func (o *opening) again(ctx context.Context) (model []byte, done func(), err error) {
	b, err := o.life.blobs.Open(ctx, o.key.digest)
	if err != nil {
		return nil, nil, err
	}
	return b.Bytes(), func() { _ = b.Close() }, nil // nothing was written
}

func (o *opening) onCPU() bool { return o.info.Device == "" || o.info.Device == plan.CPU }

// plan takes the model, with what is known of it now, into the plan.
func (o *opening) plan() {
	batched := o.runner == nil || batch.Apart(o.runner.Signature()) == ""
	o.share = o.life.shares.put(o.resident, plan.Model{
		Tenant: string(o.key.tenant), Label: o.label, Device: o.info.Device, Batched: batched, Declared: o.serving.declared(),
		Measured: o.known.Measured,
	})
}

// threads returns what the plan says in terms of LoadParams.
func (o *opening) threads() int {
	switch {
	case o.share.Threads == 1, o.share.OwnPool:
		return o.share.Threads
	}
	return 0
}

// start loads the model so often, checks its options and warms it.
func (o *opening) start(ctx context.Context, instances, threads int) error {
	o.started = threads
	var all []runners.Runner
	var before int64 // what the instances before take
	for range max(instances, 1) {
		run, info, err := o.life.models.Load(ctx, LoadParams{
			Tenant: o.key.tenant, Label: o.label, Model: o.file, Again: o.again, Threads: threads, Spin: o.share.Spin,
			Providers: o.serving.Providers,
		})
		if err != nil {
			return errors.Join(err, closeRunners(all))
		}
		all = append(all, run)
		info.MemoryBytes = min(info.MemoryBytes, maxMemoryBytes) + before
		o.info, before = info, info.MemoryBytes
	}
	o.runner = newSpread(all)
	if err := o.serving.Validate(o.runner.Signature()); err != nil {
		return err
	}
	var err error
	o.warm, err = warmUp(ctx, o.runner, &o.serving)
	o.note = o.warm.note
	return err
}
