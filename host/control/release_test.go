package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/sandbox/abi"
	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/value"
)

// publish publishes sum(g, doc) for acme and returns its version.
func (h *house) publish(t *testing.T, doc string, stage bool) int {
	t.Helper()
	rel, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", doc), Stage: stage})
	if err != nil {
		t.Fatal(err)
	}
	return rel.Version
}

// answers returns which release answers a call of each reference.
func (h *house) answers(t *testing.T, refs ...string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, ref := range refs {
		v, err := h.infer(t.Context(), acme, ref)
		if errors.Is(err, catalog.ErrNotFound) {
			v = 0
		} else if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		got[ref] = v
	}
	return got
}

func TestRollback(t *testing.T) {
	h := newHouse(t, 0)
	for i := range 3 {
		h.addModel(t, acme, "add", fmt.Sprint("model ", i+1))
		h.publish(t, "", false)
	}
	loads := h.models.loads.Load()
	m, err := h.Rollback(t.Context(), acme, "g", "")
	if err != nil || m.Was.Current != 3 || m.Now.Current != 2 {
		t.Fatalf("got %+v, %v", m, err)
	}
	want := map[string]int{"g": 2, "g@current": 2, "g@previous": 1, "g@latest": 3, "g@3": 3, "g@canary": 0}
	if diff := cmp.Diff(want, h.answers(t, "g", "g@current", "g@previous", "g@latest", "g@3", "g@canary")); diff != "" {
		t.Errorf("after one roll-back (-want +got):\n%s", diff)
	}
	if n := h.models.loads.Load() - loads; n != 1 { // g@previous, which nobody had called; not what was rolled back to
		t.Errorf("%d models were loaded", n)
	}
	for _, ref := range []string{"", "3", "latest"} { // to 1, back to 3, and 3 again, which changes nothing
		if m, err = h.Rollback(t.Context(), acme, "g", ref); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.answers(t, "g")["g"]; got != 3 || m.Now.Current != 3 {
		t.Errorf("got %d, %+v, want 3", got, m.Now)
	}
	if _, err := h.Rollback(t.Context(), acme, "g", "7"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := h.Rollback(t.Context(), acme, "g", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Rollback(t.Context(), acme, "g", ""); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("before the first: got %v, want ErrNotFound", err)
	}
}

func TestCanary(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model")
	h.publish(t, "one", false)
	h.publish(t, "two", true)
	if diff := cmp.Diff(map[string]int{"g": 1, "g@2": 2, "g@latest": 2}, h.answers(t, "g", "g@2", "g@latest")); diff != "" {
		t.Errorf("staged (-want +got):\n%s", diff)
	}
	share := func(call func(i int) control.Call) (canary int) {
		t.Helper()
		for i := range 1000 {
			lease, err := h.Acquire(t.Context(), acme, "g", call(i))
			if err != nil {
				t.Fatal(err)
			}
			if lease.Release.Version == 2 {
				canary++
			}
			lease.Done()
		}
		return canary
	}
	chance := func(int) control.Call { return control.Call{} }
	keyed := func(i int) control.Call { return control.Call{Key: fmt.Sprint("user ", i)} }
	one := func(int) control.Call { return control.Call{Key: "always the same"} }
	set := func(percent float64) {
		t.Helper()
		if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "2", Percent: percent}); err != nil {
			t.Fatal(err)
		}
	}
	set(20)
	for name, call := range map[string]func(int) control.Call{"chance": chance, "keys": keyed} {
		if n := share(call); n < 120 || n > 280 { // 6 standard deviations
			t.Errorf("%s: the canary got %d of 1000 calls, want about 200", name, n)
		}
	}
	if n := share(one); n != 0 && n != 1000 {
		t.Errorf("one key went to the canary %d times of 1000", n)
	}
	// Who went to the canary still does when it gets more.
	before := map[int]bool{}
	for i := range 200 {
		before[i] = h.version(t, keyed(i)) == 2
	}
	set(60)
	for i := range 200 {
		if now := h.version(t, keyed(i)) == 2; before[i] && !now {
			t.Errorf("user %d left the canary when its share grew", i)
		}
	}
	set(100)
	if n := share(chance); n != 1000 {
		t.Errorf("the canary got %d of 1000 calls", n)
	}
	if diff := cmp.Diff(map[string]int{"g@current": 1, "g@canary": 2, "g@1": 1}, h.answers(t, "g@current", "g@canary", "g@1")); diff != "" {
		t.Errorf("named releases (-want +got):\n%s", diff)
	}
	if _, err := h.AbortCanary(t.Context(), acme, "g"); err != nil || share(chance) != 0 {
		t.Errorf("after abort: %v", err)
	}
	if _, err := h.AbortCanary(t.Context(), acme, "g"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("abort again: got %v", err)
	}
	set(1)
	if _, err := h.PromoteCanary(t.Context(), acme, "g", 1); !errors.Is(err, catalog.ErrConflict) {
		t.Errorf("promote another one: got %v", err)
	}
	if m, err := h.PromoteCanary(t.Context(), acme, "g", 2); err != nil || m.Now.Current != 2 || m.Now.Canary != nil || share(chance) != 1000 {
		t.Errorf("promote: got %+v, %v", m.Now, err)
	}
	// Publishing sends all calls to one release.
	if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "1", Percent: 50}); err != nil {
		t.Fatal(err)
	}
	if v := h.publish(t, "three", false); v != 3 || h.version(t, control.Call{}) != 3 || h.answers(t, "g@canary")["g@canary"] != 0 {
		t.Errorf("a canary outlived release %d", v)
	}
}

// version returns which release a call of g goes to.
func (h *house) version(t *testing.T, c control.Call) int {
	t.Helper()
	lease, err := h.Acquire(t.Context(), acme, "g", c)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Done()
	return lease.Release.Version
}

// who is a graph whose canary can be chosen by an input.
func who(doc string) []byte {
	return []byte(strings.NewReplacer("inputs: {", "inputs: {user: {type: json, default: {}}, ", "outputs: {", "outputs: {who: {from: user}, ").
		Replace(string(sum("g", doc))))
}

func TestCanaryByExpression(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model")
	for i, doc := range []string{"one", "two"} {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: who(doc), Stage: i > 0}); err != nil {
			t.Fatal(err)
		}
	}
	for sticky, text := range map[string]string{
		"usr.id": "has no input \"usr\"", "a": "want text, json", "user.": "Syntax error", "[1]": "want text, a number", strings.Repeat("u", 2000): "more than",
	} {
		_, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "2", Percent: 50, Sticky: sticky})
		if !errors.Is(err, catalog.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("%.20s: got %v, want %q", sticky, err, text)
		}
	}
	if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "2", Percent: 50, Sticky: "user.id"}); err != nil {
		t.Fatal(err)
	}
	user := func(doc string) control.Call {
		return control.Call{Inputs: map[string]value.Value{"user": {Kind: abi.KindJSON, Data: []byte(doc)}}}
	}
	seen := map[int]int{}
	for i := range 100 {
		first := h.version(t, user(fmt.Sprintf(`{"id": %d}`, i)))
		for again := range 5 {
			if v := h.version(t, user(fmt.Sprintf(`{"id": %d, "n": %d}`, i, again))); v != first {
				t.Fatalf("user %d went to release %d and to %d", i, first, v)
			}
		}
		seen[first]++
	}
	if seen[1] < 20 || seen[2] < 20 {
		t.Errorf("100 users went to %v", seen)
	}
	for name, c := range map[string]control.Call{"no user": {}, "no id": user(`{}`), "no JSON": user(`{`)} {
		if v := h.version(t, c); v != 1 {
			t.Errorf("%s: got release %d, want the current one", name, v)
		}
	}
}

// TestCanaryThatDoesNotFit refuses what callers would notice.
func TestCanaryThatDoesNotFit(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model")
	h.publish(t, "one", false)
	docs := map[string]string{
		"it has no input b":            strings.Replace(strings.Replace(string(sum("g", "")), ", b: {type: tensor, dtype: FP32, shape: [batch, 3]}", "", 1), "b: b", "b: a", 1),
		"it wants one more input, c":   strings.NewReplacer("inputs: {", "inputs: {c: text, ", "outputs: {", "outputs: {c: {from: c}, ").Replace(string(sum("g", ""))),
		"it has no output s":           strings.Replace(string(sum("g", "")), "outputs: {s:", "outputs: {total:", 1),
		"is the current one":           string(sum("g", "one")),
		"want more than 0":             string(sum("g", "two")),
		"graph g@" + "nope: not found": string(sum("g", "two")),
	}
	for want, doc := range docs {
		rel, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: []byte(doc), Stage: true})
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		p := control.CanaryParams{Ref: fmt.Sprint(rel.Version), Percent: 1}
		switch {
		case strings.HasPrefix(want, "want more"):
			p.Percent = 0
		case strings.HasPrefix(want, "graph"):
			p.Ref = "nope"
		}
		if _, err := h.SetCanary(t.Context(), acme, "g", p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if v := h.version(t, control.Call{}); v != 1 {
		t.Errorf("got release %d", v)
	}
}

// TestCanaryThatDoesNotLoad: one that fails to load is refused, and one that cannot be loaded later, after a restart or on
// another server, gets no calls; all of them are answered.
func TestCanaryThatDoesNotLoad(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model 1")
	h.publish(t, "", false)
	h.addModel(t, acme, "add", "model 2")
	h.publish(t, "", true)
	h.models.broken.Store(true)
	h.Forget(acme, "g", 2)
	var failed *control.StageError
	if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "2", Percent: 100}); !errors.As(err, &failed) || failed.Stage != control.StageLoad {
		t.Errorf("got %v, want that it does not load", err)
	}
	if _, err := h.catalog.SetCanary(t.Context(), acme, "g", catalog.CanaryParams{Version: 2, Percent: 100}); err != nil {
		t.Fatal(err)
	}
	h.Forget(acme, "g", 2)
	for range 3 {
		if v := h.version(t, control.Call{}); v != 1 {
			t.Errorf("release %d answered", v)
		}
	}
	for name, move := range map[string]func() error{
		"promote":  func() error { _, err := h.PromoteCanary(t.Context(), acme, "g", 0); return err },
		"activate": func() error { _, err := h.Rollback(t.Context(), acme, "g", "2"); return err },
	} {
		if err := move(); !errors.As(err, &failed) || failed.Stage != control.StageLoad || h.answers(t, "g@current")["g@current"] != 1 {
			t.Errorf("%s: got %v, want that it does not load", name, err)
		}
	}
	h.models.broken.Store(false)
	h.Forget(acme, "g", 2)
	if v := h.version(t, control.Call{}); v != 2 {
		t.Errorf("release %d answered, want the canary that loads now", v)
	}
}

// TestFailedStagesChangeNothing has a publication fail in each stage that can be made to fail from here.
func TestFailedStagesChangeNothing(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model 1")
	h.publish(t, "", false)
	if _, err := h.AddPlugin(t.Context(), acme, h.upload(t, acme, control.UploadPlugin, "services", sandboxtest.Module(t, "services"))); err != nil {
		t.Fatal(err)
	}
	h.addModel(t, acme, "add", "model 2")
	doc := string(sum("g", ""))
	for stage, tc := range map[control.Stage]struct{ doc, text string }{
		control.StageResolve:  {strings.ReplaceAll(doc, "model: add", "model: ad"), "unknown-model"},
		control.StageValidate: {strings.ReplaceAll(doc, "b: b", "b: c"), "unknown-input"},
		control.StageLoad:     {doc, "graph g node m: "},
		control.StageWarm:     {doc + "  t: {plugin: services, call: talk, with: {n: 1}, keep: true}\n", "graph g node t: "},
	} {
		h.models.broken.Store(stage == control.StageLoad)
		_, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: []byte(tc.doc)})
		var failed *control.StageError
		if !errors.As(err, &failed) || failed.Stage != stage || !strings.HasPrefix(err.Error(), string(stage)+": ") || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: got %v", stage, err)
		}
		if v := h.version(t, control.Call{}); v != 1 {
			t.Errorf("%s: release %d is current", stage, v)
		}
		if g, err := h.catalog.DescribeGraph(t.Context(), acme, "g"); err != nil || len(g.Releases) != 1 {
			t.Errorf("%s: a release was kept: %+v, %v", stage, g, err)
		}
	}
}

// TestDeletesAreRefused names the release that uses what is to go, and says of which kind of use it is.
func TestDeletesAreRefused(t *testing.T) {
	h := newHouse(t, 0)
	for i := range 3 {
		h.addModel(t, acme, "add", fmt.Sprint("model ", i+1))
		h.publish(t, "", i == 2)
	}
	if _, err := h.SetCanary(t.Context(), acme, "g", control.CanaryParams{Ref: "3", Percent: 1}); err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]string{"1": "g@1", "2": "g@2", "3": "g@3", "": "g@1, g@2, g@3"} {
		if _, err := h.catalog.DeleteModel(t.Context(), acme, "add", what); err == nil || !strings.HasSuffix(err.Error(), "in use by "+want) {
			t.Errorf("model %q: got %v, want in use by %s", what, err, want)
		}
	}
	if _, err := h.catalog.SetTag(t.Context(), catalog.KindGraph, acme, "g", "prod", 1); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"1": "tag prod", "current": "calls, as the current release", "canary": "calls, as the canary"} {
		if _, err := h.DeleteGraph(t.Context(), acme, "g", ref); err == nil || !strings.HasSuffix(err.Error(), "in use by "+want) {
			t.Errorf("release %s: got %v, want in use by %s", ref, err, want)
		}
	}
	if _, err := h.AbortCanary(t.Context(), acme, "g"); err != nil {
		t.Fatal(err)
	}
	if got, err := h.DeleteGraph(t.Context(), acme, "g", "3"); err != nil || len(got.Versions) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := h.catalog.DeleteModel(t.Context(), acme, "add", "3"); err != nil {
		t.Errorf("what nothing uses: %v", err)
	}
	if _, err := h.infer(t.Context(), acme, "g@3"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a deleted release: got %v", err)
	}
}

func TestDiff(t *testing.T) {
	pin := func(kind catalog.Kind, name string, version int, ref string) catalog.Pin {
		return catalog.Pin{Kind: kind, Name: name, Version: version, Digest: blob.Digest(fmt.Sprint(name, version)), Ref: ref}
	}
	m1, m2, m3 := pin(catalog.KindModel, "m", 1, "prod"), pin(catalog.KindModel, "m", 2, "prod"), pin(catalog.KindModel, "m", 3, "")
	p, g := pin(catalog.KindPlugin, "p", 1, ""), pin(catalog.KindGraph, "g", 1, "")
	bare := func(p catalog.Pin) catalog.Pin { p.Ref = ""; return p }
	got := control.DiffPins([]catalog.Pin{m1, m3, p}, []catalog.Pin{bare(m3), m2, g})
	want := []control.PinChange{{To: g}, {From: bare(m1), To: bare(m2)}, {From: p}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
	if got := control.DiffPins([]catalog.Pin{m1}, []catalog.Pin{bare(m1)}); len(got) != 0 {
		t.Errorf("another reference to the same: %v", got)
	}
	a, b := catalog.Release{Name: "g", Version: 1, Document: []byte("a\nb\nc\n")}, catalog.Release{Name: "g", Version: 2, Document: []byte("a\nB\nc\n")}
	if got, want := control.DiffDocuments(a, b), "diff g@1 g@2\n--- g@1\n+++ g@2\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := control.DiffDocuments(a, a); got != "" {
		t.Errorf("equal documents: %q", got)
	}
}
