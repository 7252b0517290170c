package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/runners"
	"github.com/tandem-serve/tandem/runners/batch"
	"github.com/tandem-serve/tandem/runners/plan"
)

// Serving is how the owner of a model version wants it to be run. Zero fields are left to the server: the resource plan, and the
// defaults of the batcher.
type Serving struct {
	// MaxRows is the most rows of one run.
	MaxRows int `json:"max_rows,omitempty"`
	// MaxDelay is how long an idle model waits for more rows.
	MaxDelay time.Duration `json:"max_delay,omitempty"`
	// MaxQueueRows bounds the rows that wait.
	MaxQueueRows int `json:"max_queue_rows,omitempty"`
	// Threads, Concurrency, Instances and Spin are those of plan.Declared.
	Threads     int  `json:"threads,omitempty"`
	Concurrency int  `json:"concurrency,omitempty"`
	Instances   int  `json:"instances,omitempty"`
	Spin        bool `json:"spin,omitempty"`
	// Providers is LoadParams.Providers.
	Providers string `json:"providers,omitempty"`
	// Pad and Buckets are those of batch.Config.
	Pad     []batch.Pad `json:"pad,omitempty"`
	Buckets []int64     `json:"buckets,omitempty"`
	// MemoryBytes is what the loaded model takes, all instances together. Default: as measured. Less than what is measured, or than the
	// file has, counts as nothing.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// Warm are the inputs of the run that warms the model after it was loaded; a model that fails on them is not served. Default:
	// inputs are made up from the signature, and a failure is noted only.
	Warm []WarmInput `json:"warm,omitempty"`
}

// WarmInput is an input that is the same everywhere.
type WarmInput struct {
	Input string  `json:"input"`
	Shape []int64 `json:"shape"`
	// Value is what every element is; strings are empty.
	Value float64 `json:"value,omitempty"`
}

// Bounds of what an owner may ask for.
const (
	maxRows      = 1 << 16
	maxQueueRows = 1 << 20
	maxDelay     = 10 * time.Second
	maxThreads   = 1024
	maxBuckets   = 64
	maxWarmBytes = 64 << 20

	maxMemoryBytes = 1 << 50
)

// ErrServing says that options do not fit a model.
var ErrServing = errors.New("the model cannot be served with these options")

// Validate reports every fault of s for a model with this signature at once. The error wraps ErrServing.
func (s *Serving) Validate(sig runners.Signature) error {
	var faults []error
	within := func(name string, v, most int64) {
		if v < 0 || v > most {
			faults = append(faults, fmt.Errorf("%s %d: want 0 to %d", name, v, most))
		}
	}
	within("max_rows", int64(s.MaxRows), maxRows)
	within("max_queue_rows", int64(s.MaxQueueRows), maxQueueRows)
	within("threads", int64(s.Threads), maxThreads)
	within("concurrency", int64(s.Concurrency), maxThreads)
	within("instances", int64(s.Instances), plan.MaxInstances)
	within("buckets", int64(len(s.Buckets)), maxBuckets)
	within("memory_bytes", s.MemoryBytes, maxMemoryBytes)
	if s.MaxDelay < 0 || s.MaxDelay > maxDelay {
		faults = append(faults, fmt.Errorf("max_delay %v: want 0 to %v", s.MaxDelay, maxDelay))
	}
	if s.MaxQueueRows > 0 && s.MaxQueueRows < s.MaxRows {
		faults = append(faults, fmt.Errorf("max_queue_rows %d: want at least max_rows, %d", s.MaxQueueRows, s.MaxRows))
	}
	faults = append(faults, s.batching().Validate(sig))
	if len(s.Warm) > 0 {
		_, err := s.warmInputs(sig)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %w", ErrServing, err)
	}
	return nil
}

// batching returns what the batcher is asked for.
func (s *Serving) batching() batch.Config {
	return batch.Config{MaxRows: s.MaxRows, MaxDelay: s.MaxDelay, MaxQueueRows: s.MaxQueueRows, Pad: s.Pad, Buckets: s.Buckets}
}

// declared returns what the plan is asked for.
func (s *Serving) declared() plan.Declared {
	return plan.Declared{Threads: s.Threads, Concurrency: s.Concurrency, Instances: s.Instances, MaxRows: s.MaxRows, Spin: s.Spin}
}

// warmInputs returns the declared inputs.
func (s *Serving) warmInputs(sig runners.Signature) ([]runners.Tensor, error) {
	in := make([]runners.Tensor, len(sig.Inputs))
	var faults []error
	for i, port := range sig.Inputs {
		at := slices.IndexFunc(s.Warm, func(w WarmInput) bool { return w.Input == port.Name })
		if at < 0 {
			faults = append(faults, fmt.Errorf("warm: input %q is missing", port.Name))
			continue
		}
		value := ""
		if port.DType != runners.BYTES {
			value = strconv.FormatFloat(s.Warm[at].Value, 'g', -1, 64)
		}
		var err error
		if in[i], err = samples().Filled(port.DType, s.Warm[at].Shape, value); err != nil {
			faults = append(faults, fmt.Errorf("warm: input %q: %w", port.Name, err))
		}
	}
	for _, w := range s.Warm {
		if !slices.ContainsFunc(sig.Inputs, func(p runners.Port) bool { return p.Name == w.Input }) {
			faults = append(faults, fmt.Errorf("warm: there is no input %q", w.Input))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return in, sig.CheckInputs(in)
}

// servingOf returns the options that AddModel stored with a model.
func servingOf(mod catalog.Model) (Serving, error) {
	var s Serving
	if len(mod.Options) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(mod.Options, &s); err != nil {
		return s, fmt.Errorf("options of model %s@%d: %w", mod.Name, mod.Version, err)
	}
	return s, nil
}

// document returns s as it is stored: nothing when nothing is asked for.
func (s *Serving) document() (json.RawMessage, error) {
	doc, err := json.Marshal(s)
	if err != nil || string(doc) == "{}" {
		return nil, err
	}
	return doc, nil
}
