package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// output chooses how an answer is printed.
type output struct {
	Output string `short:"o" help:"How to print: text or json." enum:"text,json" default:"text"`
}

func (o output) json() bool { return o.Output == "json" }

func (e *env) say(format string, args ...any) error {
	_, err := fmt.Fprintf(e.out, format, args...)
	return err
}

// printJSON prints a message as JSON for programs: the field names of the schema in camel case. protojson varies its
// white space on purpose; what is printed here does not.
func (e *env) printJSON(m proto.Message) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return err
	}
	return e.say("%s\n", out.Bytes())
}

// printDocument prints a value of our own as JSON for programs.
func (e *env) printDocument(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return e.say("%s\n", b)
}

// table aligns columns.
type table struct{ w *tabwriter.Writer }

func (e *env) table(head ...string) table {
	t := table{tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)}
	if len(head) > 0 {
		_, _ = fmt.Fprintln(t.w, strings.Join(head, "\t"))
	}
	return t
}

func (t table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = strings.ReplaceAll(fmt.Sprint(c), "\n", " ")
	}
	_, _ = fmt.Fprintln(t.w, strings.TrimRight(strings.Join(texts, "\t"), "\t "))
}

func (t table) flush() error { return t.w.Flush() }

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.DateTime)
}

// short cuts a digest to what tells two apart.
func short(digest string) string {
	const keep = len("sha256:") + 12
	if len(digest) > keep {
		return digest[:keep]
	}
	return digest
}

func optional(is bool) string {
	if is {
		return " (optional)"
	}
	return ""
}

// portType writes a model's port as graphs do.
func portType(p *tandemv1.ModelPort) string {
	if p.GetJson() {
		return "json"
	}
	name := strings.TrimPrefix(p.GetDataType().String(), "DATA_TYPE_")
	if !p.GetHasShape() {
		return "tensor " + name
	}
	dims := make([]string, len(p.GetDimensions()))
	for i, d := range p.GetDimensions() {
		switch {
		case d.GetName() != "":
			dims[i] = d.GetName()
		case d.GetSize() < 0:
			dims[i] = "?"
		default:
			dims[i] = fmt.Sprint(d.GetSize())
		}
	}
	return "tensor " + name + " [" + strings.Join(dims, ",") + "]"
}

// faultLine writes a fault on one line.
func faultLine(f *tandemv1.Fault) string {
	var b strings.Builder
	if f.GetLine() > 0 {
		fmt.Fprintf(&b, "%d:%d: ", f.GetLine(), f.GetColumn())
	}
	if f.GetNode() != "" {
		fmt.Fprintf(&b, "node %s: ", f.GetNode())
	}
	if f.GetPort() != "" {
		fmt.Fprintf(&b, "port %s: ", f.GetPort())
	}
	b.WriteString(f.GetMessage())
	if f.GetFix() != "" {
		b.WriteString("; " + f.GetFix())
	}
	fmt.Fprintf(&b, " [%s]", f.GetCode())
	return b.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
