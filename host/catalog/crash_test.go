package catalog_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

var discard = slog.New(slog.DiscardHandler)

const crashDirEnv = "CATALOG_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		if err := crashChild(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
// uploads models m<w> and publishes graphs g<w> that pin the newest.
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
		r, err := c.PublishGraph(ctx, "acme", catalog.ReleaseParams{
			Name: fmt.Sprint("g", w), Document: fmt.Append(nil, content), Pins: []catalog.Pin{pinOf(m)},
		})
		if err != nil {
			return err
		}
		say("graph %d %d %d", w, r.Version, content)
		if m.Version > 1 {
			err := c.DeleteModel(ctx, "acme", m.Name, fmt.Sprint(m.Version-1))
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			say("deleted %d %d 0", w, m.Version-1)
		}
		k, _ := newKey("acme")
		if err := c.PutKey(ctx, k); err != nil {
			return err
		}
		say("key %s 0 0", k.ID)
	}
}

// TestKill kills a process that writes, at random moments. CATALOG_CRASHES is how often, 20 by default.
func TestKill(t *testing.T) {
	rounds := 20
	if s := os.Getenv("CATALOG_CRASHES"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	acks := &acknowledged{models: map[int]lastOf{}, graphs: map[int]lastOf{}, deleted: map[int]int{}}
	for range rounds {
		killRound(t, dir, acks)
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
	keys           []string
	count          int
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
	case "deleted":
		a.deleted[w] = v
	case "key":
		a.keys = append(a.keys, f[1])
	}
}

// killRound runs a child until some moment after its first acknowledgement.
func killRound(t *testing.T, dir string, acks *acknowledged) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var kill *time.Timer
	for sc := bufio.NewScanner(out); sc.Scan(); {
		acks.take(t, sc.Text())
		if kill == nil {
			kill = time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || kill == nil {
		t.Fatalf("the child ended by itself: %v", err)
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
		if cur, err := c.GetGraph(t.Context(), "acme", got.Name, ""); err != nil || cur.Version < g.version {
			t.Errorf("graph g%d: current is %d, %v; acknowledged was %d", w, cur.Version, err, g.version)
		}
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
