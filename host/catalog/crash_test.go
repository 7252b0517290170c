package catalog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/internal/crashtest"
)

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) {
	crashtest.Child(context.Background(), crashChild)
	flag.Parse()
	if testing.Short() {
		if err := flag.Set("rapid.checks", "15"); err != nil { // every step of a model syncs the disk
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// crashChild writes until it is killed, as several writers do, and says on stdout what was acknowledged. Writer w
// uploads models m<w>, publishes graphs g<w> that pin the newest, and moves their calls to and fro.
func crashChild(ctx context.Context, dir string) error {
	c, err := catalog.Open(ctx, catalog.Config{Dir: dir, Logger: discard})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var out sync.Mutex
	say := func(format string, v ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Fprintf(os.Stdout, format+"\n", v...)
	}
	errs := make([]error, 3)
	for w := range errs {
		wg.Go(func() { errs[w] = crashWriter(ctx, c, w, say) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func crashWriter(ctx context.Context, c *catalog.Catalog, w int, say func(string, ...any)) error {
	for {
		content := rand.Uint64()
		m, err := c.PutModel(ctx, "acme", catalog.ModelParams{Name: fmt.Sprint("m", w), Digest: digest(content), Size: 1})
		if err != nil {
			return err
		}
		say("model %d %d %d", w, m.Version, content)
		p := catalog.ReleaseParams{Name: fmt.Sprint("g", w), Document: fmt.Append(nil, content), Pins: []catalog.Pin{pinOf(m)}}
		say("try %d publish 0", w)
		r, err := c.PublishGraph(ctx, "acme", p)
		if err != nil {
			return err
		}
		say("graph %d %d %d", w, r.Version, content)
		say("is %d %d 0", w, r.Version)
		if err := crashMoves(ctx, c, w, p, say); err != nil {
			return err
		}
		if m.Version > 5 {
			err := errOf(c.DeleteModel(ctx, "acme", m.Name, fmt.Sprint(m.Version-5)))
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			say("deleted %d %d 0", w, m.Version-5)
		}
		k, _ := newKey("acme")
		if err := c.PutKey(ctx, k); err != nil {
			return err
		}
		say("key %s 0 0", k.ID)
	}
}

// crashMoves stages a release, makes it the canary, promotes or aborts it, and rolls back. It says before each step where
// calls are to go, to which release and which canary, and afterwards where they go.
func crashMoves(ctx context.Context, c *catalog.Catalog, w int, p catalog.ReleaseParams, say func(string, ...any)) error {
	p.Document, p.Stage = append(p.Document, '!'), true
	staged, err := c.PublishGraph(ctx, "acme", p)
	if err != nil {
		return err
	}
	step := func(current, canary int, err func() error) error {
		say("try %d %d %d", w, current, canary)
		if err := err(); err != nil {
			return err
		}
		say("is %d %d %d", w, current, canary)
		return nil
	}
	s := staged.Version
	if err := step(s-1, s, func() error {
		return errOf(c.SetCanary(ctx, "acme", p.Name, catalog.CanaryParams{Version: s, Percent: 10}))
	}); err != nil {
		return err
	}
	if rand.IntN(2) == 0 {
		return step(s-1, 0, func() error { return errOf(c.AbortCanary(ctx, "acme", p.Name)) })
	}
	if err := step(s, 0, func() error { return errOf(c.PromoteCanary(ctx, "acme", p.Name, s)) }); err != nil {
		return err
	}
	return step(s-1, 0, func() error { return errOf(c.ActivateGraph(ctx, "acme", p.Name, 0)) })
}

// TestKill kills a process that writes, at random moments.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acks := &acknowledged{models: map[int]lastOf{}, graphs: map[int]lastOf{}, deleted: map[int]int{}, is: map[int]string{}, try: map[int]string{}}
	rounds := crashtest.Rounds(t)
	for range rounds {
		crashtest.Kill(t, dir, func(line string) { acks.take(t, line) })
		acks.check(t, dir)
	}
	t.Logf("%d kills, %d acknowledged writes", rounds, acks.count)
}

// lastOf is the last acknowledged version of something.
type lastOf struct {
	version int
	content string
}

// acknowledged is what the children have said, by writer.
type acknowledged struct {
	models, graphs map[int]lastOf
	deleted        map[int]int
	// is says where calls of a graph go, as "current canary", and try where they were to go next, "" when nothing was on its
	// way.
	is, try map[int]string
	keys    []string
	count   int
}

func (a *acknowledged) take(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if len(f) != 4 {
		t.Fatalf("the child said %q", line)
	}
	w, _ := strconv.Atoi(f[1])
	v, _ := strconv.Atoi(f[2])
	a.count++
	switch f[0] {
	case "model":
		a.models[w] = lastOf{v, f[3]}
	case "graph":
		a.graphs[w] = lastOf{v, f[3]}
	case "is":
		a.is[w], a.try[w] = f[2]+" "+f[3], ""
	case "try":
		a.try[w] = f[2] + " " + f[3]
	case "deleted":
		a.deleted[w] = v
	case "key":
		a.keys = append(a.keys, f[1])
	}
}

// check opens the catalog and looks for everything that was acknowledged.
func (a *acknowledged) check(t *testing.T, dir string) {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{Dir: dir, Logger: discard})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for w, m := range a.models {
		got, err := c.GetModel(t.Context(), "acme", fmt.Sprint("m", w), fmt.Sprint(m.version))
		if err != nil || fmt.Sprint(got.Digest) != fmt.Sprint(digest(m.content)) {
			t.Errorf("model m%d@%d: got %+v, %v", w, m.version, got, err)
		}
	}
	for w, g := range a.graphs {
		got, err := c.GetGraph(t.Context(), "acme", fmt.Sprint("g", w), fmt.Sprint(g.version))
		if err != nil || string(got.Document) != g.content {
			t.Errorf("graph g%d@%d: got %+v, %v", w, g.version, got, err)
		}
		a.checkMoves(t, c, w)
	}
	for w, v := range a.deleted {
		if _, err := c.GetModel(t.Context(), "acme", fmt.Sprint("m", w), fmt.Sprint(v)); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("deleted m%d@%d: got %v", w, v, err)
		}
	}
	keys, err := c.ListKeys(t.Context(), "acme")
	if err != nil || len(keys) < len(a.keys) {
		t.Errorf("got %d keys, %v; want at least %d", len(keys), err, len(a.keys))
	}
	for _, id := range a.keys {
		if k, err := c.GetKey(t.Context(), id); err != nil || k.Tenant != tenant.ID("acme") {
			t.Errorf("key %s: got %+v, %v", id, k, err)
		}
	}
	checkPins(t, c)
}

// checkMoves checks that the calls of a graph go where they went before the step that was on its way, or where they were
// to go after it, and nowhere in between.
func (a *acknowledged) checkMoves(t *testing.T, c *catalog.Catalog, w int) {
	t.Helper()
	g, err := c.DescribeGraph(t.Context(), "acme", fmt.Sprint("g", w))
	if err != nil {
		t.Error(err)
		return
	}
	canary := 0
	if g.Canary != nil {
		canary = g.Canary.Version
	}
	got := fmt.Sprint(g.Current, " ", canary)
	published := a.try[w] == "publish 0" && canary == 0 && !g.Releases[0].Staged && g.Current == g.Releases[0].Version
	if got != a.is[w] && got != a.try[w] && !published {
		t.Errorf("calls of g%d go to %q; acknowledged was %q, on its way %q", w, got, a.is[w], a.try[w])
	}
	for _, v := range []int{g.Current, g.Previous, canary} {
		if v != 0 {
			if _, err := c.GetGraph(t.Context(), "acme", g.Name, fmt.Sprint(v)); err != nil {
				t.Errorf("g%d@%d: %v", w, v, err)
			}
		}
	}
	a.is[w], a.try[w] = got, ""
}
