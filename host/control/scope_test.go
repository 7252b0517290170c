package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/graph"
	"github.com/tandem-serve/tandem/host/tenant"
)

// keptTo returns the scope of a publisher of acme's that is kept to some graphs.
func (h *house) keptTo(t *testing.T, graphs ...string) control.Scope {
	t.Helper()
	s, err := h.Scope(t.Context(), tenant.Principal{Tenant: acme, Role: tenant.RolePublisher, Graphs: graphs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// over is a graph over two references.
func over(name, model, inner string) []byte {
	return []byte(`
graph: ` + name + `
inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}}
outputs: {s: {from: m.sum}, t: {from: sub.s}}
nodes:
  m:   {model: ` + model + `, in: {a: a, b: b}}
  sub: {graph: ` + inner + `, in: {a: a, b: b}}
`)
}

// TestScope gives a publisher the graph "g", which runs a model and a graph of others.
func TestScope(t *testing.T) {
	h := newHouse(t, 0)
	for _, name := range []string{"add", "adds", "g.add", "h.add"} {
		h.addModel(t, acme, name, "model "+name)
	}
	for _, doc := range [][]byte{sum("inner", ""), sum("hidden", ""), over("g", "g.add", "inner"), sum("h", "")} {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: doc}); err != nil {
			t.Fatal(err)
		}
	}
	h.addModel(t, acme, "add", "model 2") // shown too: what is seen is seen by its name
	mine := h.keptTo(t, "g", "new")
	for name, want := range map[string][2]bool{
		"model g.add": {true, true}, "model g.none": {true, true}, "model new.add": {true, true}, "plugin g.p": {true, true},
		"model add": {true, false}, "model adds": {}, "model none": {}, "model h.add": {}, "model g": {}, "plugin add": {},
		"graph g": {true, true}, "graph new": {true, true}, "graph inner": {}, "graph hidden": {}, "graph g.add": {},
	} {
		kind, of, _ := strings.Cut(name, " ")
		if got := [2]bool{mine.Sees(catalog.Kind(kind), of), mine.Changes(catalog.Kind(kind), of)}; got != want {
			t.Errorf("%s: sees, changes %v, want %v", name, got, want)
		}
		if all := (control.Scope{}); !all.Sees(catalog.Kind(kind), of) || !all.Changes(catalog.Kind(kind), of) {
			t.Errorf("%s is not in the scope of everything", name)
		}
	}
	for _, doc := range [][]byte{over("g", "add@2", "inner"), over("g", "g.add", "inner@1"), over("new", "add", "g")} {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: doc, Within: mine, Stage: true}); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
	for _, doc := range [][]byte{over("h", "add", "inner"), over("nobodys", "add", "inner"), over("g.x", "add", "inner")} {
		_, err := h.Check(t.Context(), acme, mine, doc)
		_, _, perr := h.Publish(t.Context(), acme, control.PublishParams{Document: doc, Within: mine})
		if !errors.Is(err, tenant.ErrScope) || !errors.Is(perr, tenant.ErrScope) {
			t.Errorf("%s: got %v and %v, want ErrScope", doc, err, perr)
		}
	}
}

// TestOutsideOfAScopeNothingIsThere compares the faults of documents that name what others have with those of documents that name what
// nobody has.
func TestOutsideOfAScopeNothingIsThere(t *testing.T) {
	h := newHouse(t, 0)
	for _, name := range []string{"add", "g.add", "hidden"} {
		h.addModel(t, acme, name, "model "+name)
	}
	for _, doc := range [][]byte{sum("inner", ""), sum("g", ""), sum("secret", "")} {
		if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: doc}); err != nil {
			t.Fatal(err)
		}
	}
	mine := h.keptTo(t, "g", "inner")
	for theirs, twin := range map[string]string{
		"hidden": "zzzzzz", "hidden@1": "zzzzzz@1", "hidden@latest": "zzzzzz@latest", "hidde": "zzzzz", "hidden@9": "zzzzzz@9", "hidden@?": "zzzzzz@?",
	} {
		_, err := h.Check(t.Context(), acme, mine, over("g", theirs, "inner"))
		_, none := h.Check(t.Context(), acme, mine, over("g", twin, "inner"))
		sameFaults(t, err, none, theirs, twin)
	}
	for theirs, twin := range map[string]string{"secret": "zzzzzz", "secret@1": "zzzzzz@1", "secre": "zzzzz", "secret@9": "zzzzzz@9"} {
		_, err := h.Check(t.Context(), acme, mine, over("g", "add", theirs))
		_, none := h.Check(t.Context(), acme, mine, over("g", "add", twin))
		sameFaults(t, err, none, theirs, twin)
	}
}

func sameFaults(t *testing.T, err, none error, theirs, twin string) {
	t.Helper()
	got, ok := errors.AsType[graph.Faults](err)
	want, ok2 := errors.AsType[graph.Faults](none)
	if !ok || !ok2 || len(got) != 1 || len(want) != 1 {
		t.Fatalf("%s: got %v, and %v for %s", theirs, err, none, twin)
	}
	if a, b := strings.ReplaceAll(got[0].Error(), theirs, "it"), strings.ReplaceAll(want[0].Error(), twin, "it"); a != b {
		t.Errorf("got %q for what others have, %q for what nobody has", a, b)
	}
}

// TestPlanOfAScope shows the plan with the models that are seen.
func TestPlanOfAScope(t *testing.T) {
	h := newHouse(t, 0)
	h.addModel(t, acme, "add", "model 1")
	if _, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: sum("g", "")}); err != nil {
		t.Fatal(err)
	}
	for graphs, want := range map[string]int{"g": 1, "h": 0} {
		s := h.PlanState(acme, h.keptTo(t, graphs))
		if len(s.Models) != want || strings.Contains(s.Why, "add") != (want > 0) {
			t.Errorf("kept to %s: got %+v, made for %q", graphs, s.Models, s.Why)
		}
	}
}

func TestKeysForGraphs(t *testing.T) {
	h := newHouse(t, 0)
	for _, role := range []tenant.Role{tenant.RoleAdmin, tenant.RolePublisher, tenant.RoleCaller, tenant.RoleViewer} {
		k, _, err := h.CreateKey(t.Context(), tenant.KeyParams{Tenant: acme, Role: role, Graphs: []string{"g", "h"}})
		if role == tenant.RoleAdmin {
			if !errors.Is(err, control.ErrKey) {
				t.Errorf("an admin for some graphs: got %v, want ErrKey", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		if again, err := h.RotateKey(t.Context(), acme, k.ID, 0); err != nil || len(again.New.Graphs) != 2 || again.New.Role != role {
			t.Errorf("%s rotated: got %+v, %v", role, again, err)
		}
	}
}
