package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// publishSlow pushes the model whose running time is an input under a name, with a declared memory that makes it another model
// than the others, and a graph of the same name.
func publishSlow(t *testing.T, s *rig.Server, name string, memoryMiB int64) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "slow.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	options := client.WithModelOptions(&tandemv1.ModelOptions{MemoryBytes: memoryMiB << 20})
	if _, err := s.Client.PushModel(bounded(t), name, bytes.NewReader(file), int64(len(file)), options); err != nil {
		t.Fatal(err)
	}
	doc := fmt.Sprintf(`
graph: %[1]s
inputs: {steps: {type: tensor, dtype: INT64, shape: []}, x: {type: tensor, dtype: FP32, shape: [n, n]}}
outputs: {y: {from: m.y}}
nodes: {m: {model: %[1]s, in: {steps: steps, x: x}}}
`, name)
	if _, err := s.Client.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: doc}); err != nil {
		t.Fatal(err)
	}
}

const slowSide = 96

// callSlow multiplies the unit matrix so many times by itself.
func callSlow(ctx context.Context, s *rig.Server, name string, steps uint64) error {
	unit := make([]byte, 0, 4*slowSide*slowSide)
	for i := range slowSide * slowSide {
		v := float32(0)
		if i%(slowSide+1) == 0 {
			v = 1
		}
		unit = binary.LittleEndian.AppendUint32(unit, math.Float32bits(v))
	}
	tensor := func(d tandemv1.DataType, shape []int64, data []byte) *tandemv1.Value {
		return &tandemv1.Value{Kind: &tandemv1.Value_Tensor{Tensor: &tandemv1.Tensor{DataType: d, Shape: shape, Data: data}}}
	}
	res, err := s.Client.Infer(ctx, name, map[string]*tandemv1.Value{
		"steps": tensor(tandemv1.DataType_DATA_TYPE_INT64, nil, binary.LittleEndian.AppendUint64(nil, steps)),
		"x":     tensor(tandemv1.DataType_DATA_TYPE_FP32, []int64{slowSide, slowSide}, unit),
	})
	if err == nil && !bytes.Equal(res.GetOutputs()["y"].GetTensor().GetData(), unit) {
		err = fmt.Errorf("%s gave a wrong answer", name)
	}
	return err
}

// busiest calls the models with so many callers each for a while and returns the most runs that went on at once and the most threads
// that the server had.
func busiest(t *testing.T, s *rig.Server, models, callers int) (runs, threads int) {
	t.Helper()
	ctx, stop := context.WithTimeout(bounded(t), time.Second)
	defer stop()
	var all sync.WaitGroup
	for m := range models {
		for range callers {
			all.Go(func() {
				for ctx.Err() == nil {
					if err := callSlow(context.WithoutCancel(ctx), s, fmt.Sprintf("m%d", m), 40); err != nil {
						t.Errorf("model %d: %v", m, err)
						return
					}
				}
			})
		}
	}
	for ctx.Err() == nil {
		threads = max(threads, s.Threads())
		plan, err := s.Client.Server.GetPlan(context.WithoutCancel(ctx), &tandemv1.GetPlanRequest{})
		if err != nil {
			t.Error(err)
			break
		}
		running := 0
		for _, m := range plan.GetModels() {
			running += int(m.GetRunning())
		}
		runs = max(runs, running)
	}
	all.Wait()
	return runs, threads
}

// TestTenModelsShareTheCores: ten busy models have one run each, not one for each core, and the plan says why. The threads of a whole
// server are logged only: how many the Go runtime starts for system calls depends on what else the machine does. What runs cost in
// threads is asserted in runners/batch.
func TestTenModelsShareTheCores(t *testing.T) {
	s := start(t, rig.Options{Args: []string{"--threads", "2"}})
	const models = 10
	publishSlow(t, s, "m0", 1)
	_, one := busiest(t, s, 1, 8*models)
	for i := 1; i < models; i++ {
		publishSlow(t, s, fmt.Sprintf("m%d", i), int64(i+1))
	}
	runs, ten := busiest(t, s, models, 8)
	plan, err := s.Client.Server.GetPlan(bounded(t), &tandemv1.GetPlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(plan.GetModels()); got != models {
		t.Errorf("%d models are in the plan, want %d", got, models)
	}
	for _, m := range plan.GetModels() {
		w := m.GetWhy()
		if !m.GetLoaded() || m.GetGuaranteedRuns() != 1 || w.GetCores() == "" || w.GetThreads() == "" || w.GetRuns() == "" {
			t.Errorf("got %v", m)
		}
	}
	t.Logf("the server had at most %d threads with one model and %d with ten, of which %d were runs", one, ten, runs)
	// The runs of the models are not counted at the same moment: one that is lent may be seen twice.
	if most := int(plan.GetMostRuns()); most > 2+models-1 || runs > most+2 {
		t.Errorf("%d runs went on at once, the plan allows %d", runs, most)
	}
}

// TestModelsComeAndGo serves three models in the memory of two: each call finds its model, and none fails.
func TestModelsComeAndGo(t *testing.T) {
	s := start(t, rig.Options{Args: []string{"--model-memory", "70"}})
	for i := range 3 {
		publishSlow(t, s, fmt.Sprintf("m%d", i), int64(30+i))
	}
	var all sync.WaitGroup
	for c := range 4 {
		all.Go(func() {
			for i := range 12 {
				if err := callSlow(bounded(t), s, fmt.Sprintf("m%d", (c+i)%3), 2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	plan, err := s.Client.Server.GetPlan(bounded(t), &tandemv1.GetPlanRequest{})
	if err != nil {
		t.Fatal(err)
	}
	loaded, loads := 0, int32(0)
	for _, m := range plan.GetModels() {
		loads += m.GetLoads()
		if m.GetLoaded() {
			loaded++
		}
	}
	if loaded > 2 || loads <= 3 || plan.GetMemoryBytes() > plan.GetMemoryBudgetBytes() {
		t.Errorf("%d models are loaded, after %d loads, with %d of %d bytes", loaded, loads, plan.GetMemoryBytes(), plan.GetMemoryBudgetBytes())
	}
}
