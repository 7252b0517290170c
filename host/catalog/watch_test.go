package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/catalog"
)

// watcher has a watch running and its changes as text.
type watcher struct {
	t       *testing.T
	changes chan string
	end     chan error
	cancel  context.CancelFunc
}

func watch(t *testing.T, c *catalog.Catalog, kinds ...catalog.Kind) *watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watcher{t: t, changes: make(chan string, 1000), end: make(chan error, 1), cancel: cancel}
	go func() {
		var last error
		for ch, err := range c.Watch(ctx, kinds...) {
			if err != nil {
				last = err
				continue
			}
			w.changes <- changeText(ch)
		}
		w.end <- last
	}()
	t.Cleanup(w.stop)
	return w
}

func changeText(ch catalog.Change) string {
	if ch.Synced {
		return "synced"
	}
	s := fmt.Sprintf("%s %s/%s", ch.Kind, ch.Tenant, ch.Name)
	if ch.Deleted {
		s += " deleted"
	}
	return s
}

func (w *watcher) stop() {
	w.cancel()
	if w.end == nil {
		return
	}
	if err := <-w.end; err != nil && !errors.Is(err, catalog.ErrClosed) {
		w.t.Errorf("the watch ended with %v", err)
	}
	w.end = nil
}

// next returns what the watch says next.
func (w *watcher) next() string {
	w.t.Helper()
	select {
	case s := <-w.changes:
		return s
	case <-time.After(20 * time.Second):
		w.t.Fatal("the watch says nothing")
		return ""
	}
}

// want fails unless the watch says all of these next, in this order, and perhaps some of them more than once.
func (w *watcher) want(changes ...string) {
	w.t.Helper()
	last := ""
	for _, c := range changes {
		got := w.next()
		for got == last {
			got = w.next()
		}
		if got != c {
			w.t.Errorf("got %q, want %q", got, c)
		}
		last = c
	}
}

func TestWatch(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "m", 1)
	put(t, c, "gone", 1)
	want(t, "delete", errOf(c.DeleteModel(t.Context(), "acme", "gone", "")), nil)
	publish(t, c, "a.b", "x")

	all, graphs := watch(t, c), watch(t, c, catalog.KindGraph)
	all.want("model acme/m", "graph acme/a.b", "synced")
	graphs.want("graph acme/a.b", "synced")

	put(t, c, "m", 2)
	all.want("model acme/m")
	publish(t, c, "g", "x")
	graphs.want("graph acme/g")
	all.want("graph acme/g")
	if _, err := c.PutPlugin(t.Context(), "other", catalog.PluginParams{Name: "p", Digest: m.Digest, Size: 1}); err != nil {
		t.Fatal(err)
	}
	all.want("plugin other/p")
	want(t, "delete graph", errOf(c.DeleteGraph(t.Context(), "acme", "g", "")), nil)
	graphs.want("graph acme/g deleted")
	all.want("graph acme/g deleted")
	publish(t, c, "g", "x")
	all.want("graph acme/g")
	want(t, "delete model", errOf(c.DeleteModel(t.Context(), "acme", "m", "")), nil)
	all.want("model acme/m deleted")

	all.stop()
	c.Close(t.Context())
	if err := <-graphs.end; !errors.Is(err, catalog.ErrClosed) {
		t.Errorf("got %v, want %v", err, catalog.ErrClosed)
	}
	graphs.end = nil
}

// TestWatchListsAgain hides changes from a watch, as a lost connection would, and wants it to find them by itself.
func TestWatchListsAgain(t *testing.T) {
	c := open(t, catalog.Config{})
	for i := range 3 {
		put(t, c, fmt.Sprint("m", i), 1)
	}
	w := watch(t, c)
	w.want("model acme/m0", "model acme/m1", "model acme/m2", "synced")
	for i := range 10 {
		c.RaiseReconnected()
		put(t, c, "m1", fmt.Sprint("new", i))
		w.want("model acme/m1")
		c.RaiseReconnected()
	}
	// a record that went without a trace
	want(t, "purge", c.Purge(t.Context(), "model.acme.m2"), nil)
	want(t, "sweep", c.Sweep(t.Context()), nil)
	c.RaiseReconnected()
	w.want("model acme/m2 deleted")
	publish(t, c, "end", "x")
	w.want("graph acme/end")
	if len(w.changes) > 0 {
		t.Errorf("listing again repeated %q", <-w.changes)
	}
}

// TestWatchRelists has a watch list all the time, and wants nothing to be said twice.
func TestWatchRelists(t *testing.T) {
	c := open(t, catalog.Config{Relist: time.Millisecond})
	w := watch(t, c, catalog.KindModel)
	w.want("synced")
	var wants, got []string
	for i := range 60 {
		put(t, c, fmt.Sprintf("m%02d", i), i)
		wants = append(wants, fmt.Sprintf("model acme/m%02d", i))
	}
	for range wants {
		got = append(got, w.next())
	}
	if diff := cmp.Diff(wants, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWatchBreak stops ranging in the middle.
func TestWatchBreak(t *testing.T) {
	c := open(t, catalog.Config{})
	for i := range 10 {
		put(t, c, fmt.Sprint("m", i), i)
	}
	for stop := range 11 {
		n := 0
		for _, err := range c.Watch(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > stop {
				break
			}
		}
		if n != stop+1 {
			t.Errorf("got %d changes, want %d", n, stop+1)
		}
	}
}
