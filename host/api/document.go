package api

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/host/graph"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// documentOf returns the text of a graph that came as text or as a message.
func documentOf(text string, d *tandemv1.GraphDocument) ([]byte, error) {
	if d == nil {
		return []byte(text), nil
	}
	g, err := definitionFrom(d)
	if err != nil {
		return nil, err
	}
	return g.YAML()
}

// written writes a graph down in one form: as text, or as a message.
func written(form tandemv1.GraphForm, src []byte, plan *graph.Plan) (string, *tandemv1.GraphDocument, error) {
	switch form {
	case tandemv1.GraphForm_GRAPH_FORM_TEXT:
		return graph.Text(plan), nil, nil
	case tandemv1.GraphForm_GRAPH_FORM_MERMAID:
		return graph.Mermaid(plan), nil, nil
	case tandemv1.GraphForm_GRAPH_FORM_SVG:
		return graph.SVG(plan), nil, nil
	case tandemv1.GraphForm_GRAPH_FORM_YAML, tandemv1.GraphForm_GRAPH_FORM_JSON, tandemv1.GraphForm_GRAPH_FORM_PROTO:
		return rewritten(form, src)
	case tandemv1.GraphForm_GRAPH_FORM_UNSPECIFIED:
	}
	return "", nil, nil
}

// rewritten writes a document in another of its three forms. YAML stays as it is, comments included.
func rewritten(form tandemv1.GraphForm, src []byte) (string, *tandemv1.GraphDocument, error) {
	g, err := graph.Parse(src)
	if err != nil {
		return "", nil, err
	}
	switch form {
	case tandemv1.GraphForm_GRAPH_FORM_PROTO:
		return "", definitionTo(g), nil
	case tandemv1.GraphForm_GRAPH_FORM_JSON:
		out, err := json.MarshalIndent(g, "", "  ")
		return string(out) + "\n", nil, err
	default:
		if !json.Valid(src) {
			return string(src), nil, nil
		}
		out, err := g.YAML()
		return string(out), nil, err
	}
}

// definitionFrom reads a graph from its message. The error is graph.Faults, of a type that cannot be read; everything else is
// checked when the graph is.
func definitionFrom(d *tandemv1.GraphDocument) (*graph.Graph, error) {
	g := &graph.Graph{Name: d.GetGraph(), Doc: d.GetDoc()}
	var faults graph.Faults
	for _, in := range d.GetInputs() {
		t, err := graph.ParseType(in.GetType())
		if err != nil {
			faults = append(faults, &graph.Fault{Code: graph.CodeBadType, Graph: g.Name, Port: in.GetName(), Message: err.Error()})
		}
		g.Inputs = append(g.Inputs, graph.Input{
			Name: in.GetName(), Doc: in.GetDoc(), Type: t, Optional: in.GetOptional(), Default: rawFrom(in.DefaultJson),
		})
	}
	for _, out := range d.GetOutputs() {
		g.Outputs = append(g.Outputs, graph.Output{Name: out.GetName(), Doc: out.GetDoc(), From: out.GetFrom(), First: out.GetFirst()})
	}
	for _, n := range d.GetNodes() {
		g.Nodes = append(g.Nodes, nodeFrom(n))
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return g, nil
}

func nodeFrom(n *tandemv1.GraphNode) graph.Node {
	out := graph.Node{
		Name: n.GetName(), Doc: n.GetDoc(), Model: n.GetModel(), Plugin: n.GetPlugin(), Graph: n.GetGraph(), Call: n.GetCall(),
		Each: n.GetEach(), When: n.GetWhen(), With: rawFrom(n.WithJson), OnError: n.GetOnError(), MaxParallel: int(n.GetMaxParallel()),
		Timeout: spanFrom(n.GetTimeout()), Priority: int(n.GetPriority()), Shadow: n.GetShadow(), MayCall: n.GetMayCall(), Keep: n.GetKeep(),
	}
	for _, b := range n.GetIn() {
		out.In = append(out.In, graph.Binding{Port: b.GetPort(), From: b.GetFrom(), Value: rawFrom(b.ValueJson), First: b.GetFirst()})
	}
	if s := n.GetSplit(); s != nil {
		out.Split = &graph.Split{Sticky: s.GetSticky()}
		for _, b := range s.GetBranches() {
			out.Split.Branches = append(out.Split.Branches, graph.Branch{Node: b.GetNode(), Weight: int(b.GetWeight())})
		}
	}
	if c := n.GetCache(); c != nil {
		out.Cache = &graph.Cache{TTL: spanFrom(c.GetTtl()), MaxBytes: c.GetMaxBytes()}
	}
	return out
}

// definitionTo writes a graph as a message. definitionFrom is its inverse.
func definitionTo(g *graph.Graph) *tandemv1.GraphDocument {
	d := &tandemv1.GraphDocument{Graph: g.Name, Doc: g.Doc}
	for i := range g.Inputs {
		in := &g.Inputs[i]
		d.Inputs = append(d.Inputs, &tandemv1.GraphInput{
			Name: in.Name, Doc: in.Doc, Type: in.Type.String(), Optional: in.Optional, DefaultJson: rawTo(in.Default),
		})
	}
	for i := range g.Outputs {
		out := &g.Outputs[i]
		d.Outputs = append(d.Outputs, &tandemv1.GraphOutput{Name: out.Name, Doc: out.Doc, From: out.From, First: out.First})
	}
	for i := range g.Nodes {
		d.Nodes = append(d.Nodes, nodeTo(&g.Nodes[i]))
	}
	return d
}

func nodeTo(n *graph.Node) *tandemv1.GraphNode {
	out := &tandemv1.GraphNode{
		Name: n.Name, Doc: n.Doc, Model: n.Model, Plugin: n.Plugin, Graph: n.Graph, Call: n.Call, Each: n.Each, When: n.When,
		WithJson: rawTo(n.With), OnError: n.OnError, MaxParallel: int32(n.MaxParallel), Timeout: spanTo(n.Timeout),
		Priority: int32(n.Priority), Shadow: n.Shadow, MayCall: n.MayCall, Keep: n.Keep,
	}
	for i := range n.In {
		b := &n.In[i]
		out.In = append(out.In, &tandemv1.GraphBinding{Port: b.Port, From: b.From, ValueJson: rawTo(b.Value), First: b.First})
	}
	if n.Split != nil {
		out.Split = &tandemv1.GraphSplit{Sticky: n.Split.Sticky}
		for _, b := range n.Split.Branches {
			out.Split.Branches = append(out.Split.Branches, &tandemv1.GraphBranch{Node: b.Node, Weight: int32(b.Weight)})
		}
	}
	if n.Cache != nil {
		out.Cache = &tandemv1.GraphCache{Ttl: spanTo(n.Cache.TTL), MaxBytes: n.Cache.MaxBytes}
	}
	return out
}

func rawFrom(s *string) json.RawMessage {
	if s == nil {
		return nil
	}
	return json.RawMessage(*s)
}

func rawTo(m json.RawMessage) *string {
	if m == nil {
		return nil
	}
	return new(string(m))
}

func spanFrom(d *durationpb.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.AsDuration()
}

func spanTo(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}
