package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// workers returns the processes of a server in which models run.
func workers(t *testing.T, s *rig.Server) []int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(children)) {
			line, err := os.ReadFile("/proc/" + field + "/cmdline")
			pid, convErr := strconv.Atoi(field)
			if err == nil && convErr == nil && bytes.HasSuffix(line, []byte("\x00worker\x00")) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestWorkerIsKilled kills the worker of one tenant during a run: that call fails with the model's name, the tenant's next one
// works, and another tenant sees nothing of it.
func TestWorkerIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("finds the worker in /proc")
	}
	s := start(t, rig.Options{})
	publishSlow(t, s, "slow", 32)
	if err := callSlow(bounded(t), s, "slow", 1); err != nil {
		t.Fatal(err)
	}
	mine := workers(t, s)
	if len(mine) != 1 {
		t.Fatalf("%d workers, want one", len(mine))
	}
	bob := newTenant(t, s, "bob")
	file, err := os.ReadFile(filepath.Join(root(t), "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.PushModel(bounded(t), "add", bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	doc := `{"graph": "add", "inputs": {"a": {"type": "tensor", "dtype": "FP32", "shape": ["n", 3]}, "b": {"type": "tensor", "dtype": "FP32", "shape": ["n", 3]}},
 "outputs": {"sum": {"from": "m.sum"}}, "nodes": {"m": {"model": "add", "in": {"a": "a", "b": "b"}}}}`
	if _, err := bob.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: doc}); err != nil {
		t.Fatal(err)
	}
	known := workers(t, s)
	stop := make(chan struct{})
	calls := 0
	var load sync.WaitGroup
	load.Go(func() {
		one := client.Float32s([]int64{1, 3}, []float32{1, 2, 3})
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := bob.Infer(t.Context(), "add", map[string]*tandemv1.Value{"a": one, "b": one}); err != nil {
				t.Errorf("the other tenant's call %d: %v", calls, err)
				return
			}
			calls++
		}
	})
	for range 2 {
		ran := make(chan error, 1)
		go func() { ran <- callSlow(t.Context(), s, "slow", 1<<40) }()
		<-time.NewTimer(300 * time.Millisecond).C // the call is on its way to a real process
		if err := syscall.Kill(mine[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		err := <-ran
		if client.CodeOf(err) != client.CodeUnavailable || !strings.Contains(err.Error(), "model slow@1") {
			t.Errorf("the call that was running: got %v, want unavailable, and the model's name", err)
		}
		if err := callSlow(bounded(t), s, "slow", 1); err != nil {
			t.Errorf("the next call: %v", err)
		}
		mine = slices.DeleteFunc(workers(t, s), func(pid int) bool { return slices.Contains(known, pid) })
		known = append(known, mine...)
		if len(mine) != 1 {
			t.Fatalf("%d new workers, want one", len(mine))
		}
	}
	close(stop)
	load.Wait()
	t.Logf("%d calls of the other tenant", calls)
}
