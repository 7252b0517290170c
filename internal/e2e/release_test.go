package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// publishes is how often TestPublishUnderLoad publishes unless TANDEM_PUBLISHES says otherwise; make soak says 1000.
const publishes = 100

// moving is a graph whose releases differ in the model that they run and in the configuration of a plugin.
func moving(version string, model, n int) string {
	return fmt.Sprintf(`
graph: moving
doc: %q
inputs: {a: {type: tensor, dtype: FP32, shape: [n, 3]}, b: {type: tensor, dtype: FP32, shape: [n, 3]}}
outputs: {sum: {from: m.sum}, config: {from: p.config}}
nodes:
  m: {model: m%d, in: {a: a, b: b}}
  p: {plugin: services, call: talk, with: {model: x, n: %d}}
`, version, model, n)
}

// movingServer starts a server with what moving needs.
func movingServer(t *testing.T, o rig.Options) *rig.Server {
	t.Helper()
	s := start(t, o)
	pushMoving(t, s)
	return s
}

func pushMoving(t *testing.T, s *rig.Server) {
	t.Helper()
	dir := root(t)
	base, err := os.ReadFile(filepath.Join(dir, "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		file := variant(base, i)
		if _, err := s.Client.PushModel(bounded(t), fmt.Sprint("m", i), strings.NewReader(string(file)), int64(len(file))); err != nil {
			t.Fatal(err)
		}
	}
	wasm, err := os.ReadFile(filepath.Join(dir, "host", "sandbox", "sandboxtest", "testdata", "services.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.PushPlugin(bounded(t), "services", strings.NewReader(string(wasm)), int64(len(wasm))); err != nil {
		t.Fatal(err)
	}
}

func publish(ctx context.Context, s *rig.Server, doc string, stage bool) (int, error) {
	res, err := s.Client.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: doc, Stage: stage})
	return int(res.GetGraph().GetVersion()), err
}

// call calls the graph moving and returns the release that answered.
func call(ctx context.Context, s *rig.Server) (int, error) {
	one := client.Float32s([]int64{1, 3}, []float32{1, 2, 3})
	res, err := s.Client.Infer(ctx, "moving", map[string]*tandemv1.Value{"a": one, "b": one})
	if err != nil {
		return 0, err
	}
	if len(res.GetOutputs()["sum"].GetTensor().GetData()) != 12 {
		return 0, fmt.Errorf("the sum is %v", res.GetOutputs()["sum"])
	}
	return strconv.Atoi(strings.TrimPrefix(res.GetRelease(), "moving@"))
}

// TestPublishUnderLoad publishes release after release while eight callers call without a pause. No call may fail, a
// caller never sees a release older than one that it has seen, and the server's memory stays where it is. Then it rolls
// back, still under load, and says how long that takes.
func TestPublishUnderLoad(t *testing.T) {
	t.Setenv("GOGC", "100") // or garbage piles up, up to a gigabyte, which is not what the plateau is about
	s := movingServer(t, rig.Options{})
	times := publishes
	if text := os.Getenv("TANDEM_PUBLISHES"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := publish(bounded(t), s, moving("0", 0, 0), false); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	var calls atomic.Int64
	var back atomic.Bool
	for range 8 {
		callers.Go(func() {
			for last := 0; ctx.Err() == nil; calls.Add(1) {
				v, err := call(context.WithoutCancel(ctx), s)
				if err != nil {
					t.Errorf("a call failed: %v", err)
					return
				}
				if v < last && !back.Load() {
					t.Errorf("release %d answered after %d", v, last)
				}
				last = v
			}
		})
	}
	begin := time.Now()
	var memory []int
	for i := 1; i <= times; i++ {
		pctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		v, err := publish(pctx, s, moving(fmt.Sprint(i), i%4, i), false)
		cancel()
		if err != nil || v != i+1 {
			t.Fatalf("publish %d: got release %d, %v", i, v, err)
		}
		memory = append(memory, residentMiB(t, s.PID()))
	}
	t.Logf("%d publications in %v under 8 callers: %d calls, none failed", times, time.Since(begin).Round(time.Millisecond), calls.Load())
	checkPlateau(t, memory)
	back.Store(true)
	t.Logf("roll-back and forth under 8 callers: %s", rollBacks(t, s, "moving", 20))
	stop()
	callers.Wait()
	t.Logf("roll-back and forth without callers: %s", rollBacks(t, s, "moving", 20))
	if calls.Load() < int64(times) {
		t.Errorf("%d calls are too few for the test to mean much", calls.Load())
	}
}

// checkPlateau compares the most memory in the last quarter with that in the second one: what is loaded comes and goes, but
// does not pile up.
func checkPlateau(t *testing.T, mib []int) {
	t.Helper()
	q := len(mib) / 4
	first, second, last := slices.Max(mib[:q]), slices.Max(mib[q:2*q]), slices.Max(mib[len(mib)-q:])
	t.Logf("resident memory, most in MiB: first quarter %d, second %d, last %d", first, second, last)
	if limit := second + second/5 + 16; last > limit {
		t.Errorf("the server has %d MiB after %d publications; it had %d after half of them", last, len(mib), second)
	}
}

// residentMiB returns the memory that a process has.
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("memory is read from /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// rollBacks rolls back and forward again, n times each, and says how long the answers took.
func rollBacks(t *testing.T, s *rig.Server, graph string, n int) string {
	t.Helper()
	var took []time.Duration
	for range n {
		for _, to := range []string{"", "latest"} {
			begin := time.Now()
			res, err := s.Client.Releases.Rollback(bounded(t), &tandemv1.RollbackRequest{Graph: graph, To: to})
			took = append(took, time.Since(begin))
			if err != nil || res.GetWas().GetCurrent() == res.GetNow().GetCurrent() {
				t.Fatalf("got %v, %v", res, err)
			}
		}
	}
	slices.Sort(took)
	return fmt.Sprintf("p50 %v, most %v", took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
}

// TestRollbackOfTheOCRGraph times the roll-back of a graph with five models and four plugins, which stay loaded.
func TestRollbackOfTheOCRGraph(t *testing.T) {
	s := examples(t)
	doc, err := os.ReadFile(filepath.Join(root(t), "examples", rig.GraphOCR, "graph.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		text := strings.Replace(string(doc), "graph: "+rig.GraphOCR, fmt.Sprintf("graph: ocr-moving\ndoc: release %d", i), 1)
		if _, err := publish(bounded(t), s, text, false); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("roll-back and forth: %s", rollBacks(t, s, "ocr-moving", 10))
	if _, err := s.Client.Graphs.DeleteGraph(bounded(t), &tandemv1.DeleteGraphRequest{Name: "ocr-moving"}); err != nil {
		t.Fatal(err)
	}
}

// TestCanaryDividesCalls has a canary take its part of the calls of several callers, each with a key of its own.
func TestCanaryDividesCalls(t *testing.T) {
	s := movingServer(t, rig.Options{})
	for i, stage := range []bool{false, true} {
		if _, err := publish(bounded(t), s, moving(fmt.Sprint(i), i, i), stage); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Client.Releases.SetCanary(bounded(t), &tandemv1.SetCanaryRequest{Graph: "moving", Release: "latest", Percent: 50}); err != nil {
		t.Fatal(err)
	}
	one := client.Float32s([]int64{1, 3}, []float32{1, 2, 3})
	got := map[string]int{}
	for user := range 40 {
		first := ""
		for range 3 {
			res, err := s.Client.Infer(bounded(t), "moving", map[string]*tandemv1.Value{"a": one, "b": one}, client.WithStickyKey(fmt.Sprint(user)))
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = res.GetRelease()
			}
			if res.GetRelease() != first {
				t.Errorf("user %d went to %s and to %s", user, first, res.GetRelease())
			}
		}
		got[first]++
	}
	if got["moving@1"] < 5 || got["moving@2"] < 5 {
		t.Errorf("40 users went to %v", got)
	}
	metrics := scrape(t, s)
	for _, release := range []string{"1", "2"} {
		if want := `tandem_release_seconds_count{graph="moving",outcome="ok",release="` + release + `",tenant="default"} `; !strings.Contains(metrics, want) {
			t.Errorf("no metric of release %s", release)
		}
	}
}

// scrape reads a server's metrics.
func scrape(t *testing.T, s *rig.Server) string {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, s.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Key)
	c := &http.Client{Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("the metrics: %s, %v: %s", res.Status, err, text)
	}
	return string(text)
}

// TestKillWhileMoving kills the server while it promotes canaries and rolls back. After each restart calls go where they
// went before the step that was on its way, or where they were to go after it.
func TestKillWhileMoving(t *testing.T) {
	const kills = 12
	dir, data := root(t), t.TempDir()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	m := &mover{}
	for i := range kills {
		log := &logBuffer{}
		s, err := rig.Start(context.WithoutCancel(t.Context()), rig.Options{Root: dir, Data: data, Log: log})
		if err != nil {
			t.Fatalf("start %d: %v\n%s", i, err, log.String())
		}
		if i == 0 {
			pushMoving(t, s)
			for i, stage := range []bool{false, false, true} {
				if _, err := publish(bounded(t), s, moving(fmt.Sprint(i), i, i), stage); err != nil {
					t.Fatal(err)
				}
			}
			m.is = routing{current: 2}
		}
		m.check(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		var moving sync.WaitGroup
		moving.Go(func() { m.move(ctx, s) })
		<-time.NewTimer(time.Duration(20+rnd.IntN(200)) * time.Millisecond).C // a real process is killed at a real moment
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		cancel()
		moving.Wait()
		if t.Failed() {
			t.Fatalf("after kill %d; the log:\n%s", i, log.String())
		}
	}
	t.Logf("%d kills, %d moves acknowledged", kills, m.moves)
	if m.moves < kills {
		t.Error("too few moves for the test to mean much")
	}
}

// routing is where calls go: the current release, and the canary or 0.
type routing struct{ current, canary int32 }

// mover moves calls to and fro between the releases 2 and 3.
type mover struct {
	is, next routing // what was acknowledged last, and what was asked for after it
	moves    int
}

func (m *mover) move(ctx context.Context, s *rig.Server) {
	r := s.Client.Releases
	for ctx.Err() == nil {
		var err error
		switch {
		case m.is.canary != 0:
			m.next = routing{current: m.is.canary}
			_, err = r.PromoteCanary(ctx, &tandemv1.PromoteCanaryRequest{Graph: "moving"})
		case m.is.current == 3:
			m.next = routing{current: 2}
			_, err = r.Rollback(ctx, &tandemv1.RollbackRequest{Graph: "moving"})
		default:
			m.next = routing{current: 2, canary: 3}
			_, err = r.SetCanary(ctx, &tandemv1.SetCanaryRequest{Graph: "moving", Release: "3", Percent: 30})
		}
		if err != nil {
			return
		}
		m.is = m.next
		m.moves++
	}
}

// check compares where calls go with what was acknowledged, and calls.
func (m *mover) check(t *testing.T, s *rig.Server) {
	t.Helper()
	res, err := s.Client.Releases.ListReleases(bounded(t), &tandemv1.ListReleasesRequest{Graph: "moving"})
	if err != nil {
		t.Fatal(err)
	}
	got := routing{res.GetRouting().GetCurrent(), res.GetRouting().GetCanary().GetVersion()}
	if got != m.is && got != m.next {
		t.Errorf("calls go to %+v; acknowledged was %+v, on its way %+v", got, m.is, m.next)
	}
	if v, err := call(bounded(t), s); err != nil || int32(v) != got.current && int32(v) != got.canary {
		t.Errorf("release %d answered, %v; calls go to %+v", v, err, got)
	}
	m.is, m.next = got, got
}
