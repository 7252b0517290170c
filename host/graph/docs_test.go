package graph_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/graph"
)

const docs = "../../docs/graph-language.md"

func readDocs(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// generated compares the part of the documentation between a marker and its end with want, or rewrites it.
func generated(t *testing.T, marker, want string) {
	t.Helper()
	text := readDocs(t)
	re := regexp.MustCompile(`(?s)(<!-- ` + marker + ` -->)(.*?)(<!-- end -->)`)
	m := re.FindStringSubmatchIndex(text)
	if m == nil {
		t.Fatalf("no part %q in %s", marker, docs)
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text[:m[4]]+want+text[m[5]:]), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, text[m[4]:m[5]]); d != "" {
		t.Errorf("%s is not up to date; run go test ./host/graph -update\n%s", docs, d)
	}
}

// constants returns the string constants of a type in a file of the package, with their comments, in order.
func constants(t *testing.T, file, typ string) (values, comments []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			v, ok := spec.(*ast.ValueSpec)
			if id, isID := v.Type.(*ast.Ident); !ok || !isID || id.Name != typ {
				continue
			}
			lit, ok := v.Values[0].(*ast.BasicLit)
			if !ok || v.Comment == nil {
				t.Fatalf("%s needs a literal value and a comment in its line", v.Names[0].Name)
			}
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			values, comments = append(values, s), append(comments, strings.TrimSpace(v.Comment.Text()))
		}
	}
	return values, comments
}

func TestDocsListCodes(t *testing.T) {
	values, comments := constants(t, "code.go", "Code")
	var b strings.Builder
	b.WriteString("\n| code | what it means |\n| --- | --- |\n")
	var want []graph.Code
	for i, v := range values {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v, comments[i])
		want = append(want, graph.Code(v))
	}
	generated(t, "codes", b.String())
	if d := cmp.Diff(want, graph.Codes()); d != "" {
		t.Errorf("codes() does not list the constants: %s", d)
	}
}

func TestDocsListReservedNames(t *testing.T) {
	generated(t, "reserved", "`"+strings.Join(graph.Reserved(), "`, `")+"`")
}

func TestDocsExamplesCompile(t *testing.T) {
	w := newWorld(t)
	blocks := regexp.MustCompile("(?s)```yaml\n(graph: .*?)```").FindAllStringSubmatch(readDocs(t), -1)
	if len(blocks) < 3 {
		t.Fatalf("got %d examples, want at least 3", len(blocks))
	}
	for _, b := range blocks {
		if _, err := graph.Check([]byte(b[1]), w); err != nil {
			t.Errorf("%s\n%v", b[1], err)
		}
	}
}
