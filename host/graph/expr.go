package graph

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Expr is a compiled expression (CEL) of `when` or `sticky`. It may be evaluated by many goroutines at once.
type Expr struct {
	Source string
	// Inputs are the values that it reads, in the order in which Eval takes them.
	Inputs  []ExprInput
	program cel.Program
}

// ExprInput is one value that an expression reads.
type ExprInput struct {
	Name string // as the expression has it: "node.port", or "input"
	From Source
	Type Type
}

// Bounds of one evaluation. A step is about one operation on one small value.
const (
	maxExprSteps   = 100_000
	maxExprNesting = 32
	maxExprLoops   = 2 // comprehensions in comprehensions
)

// ErrExpr is what Eval's errors wrap: the expression failed on these values, for instance because a key is missing, or
// took more than its bound of steps.
var ErrExpr = errors.New("expression failed")

// Eval evaluates the expression. values belong to Inputs, each made by ExprValue. The result is a bool, int64, uint64,
// float64, string, []byte or something that JSON has.
func (e *Expr) Eval(values []any) (any, error) {
	vars := make(map[string]any, len(values))
	for i, v := range values {
		if i < len(e.Inputs) {
			vars[e.Inputs[i].Name] = v
		}
	}
	out, _, err := e.program.Eval(vars)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrExpr, quote(e.Source), clip(err.Error(), 200))
	}
	return out.Value(), nil
}

// True evaluates a condition.
func (e *Expr) True(values []any) (bool, error) {
	v, err := e.Eval(values)
	if err != nil {
		return false, err
	}
	yes, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("%w: %s: the result is no truth value", ErrExpr, quote(e.Source))
	}
	return yes, nil
}

// ExprValue turns a value that is not a list into what Eval takes: text, JSON documents and tensors of one element. A list
// becomes a []any of such values.
func ExprValue(kind abi.Kind, dtype abi.DType, data []byte) (any, error) {
	switch kind {
	case abi.KindText:
		return string(data), nil
	case abi.KindJSON:
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, fmt.Errorf("%w: not JSON: %w", ErrExpr, err)
		}
		return v, nil
	case abi.KindTensor:
		if size := dtype.Size(); size == 0 || len(data) != size {
			return nil, fmt.Errorf("%w: a tensor of one number is wanted, not %d bytes of %s", ErrExpr, len(data), dtype)
		}
		return exprNumber(dtype, data), nil
	default:
		return nil, fmt.Errorf("%w: expressions do not read %s", ErrExpr, kind)
	}
}

func exprNumber(dtype abi.DType, data []byte) any {
	var buf [8]byte
	copy(buf[:], data)
	n := binary.LittleEndian.Uint64(buf[:])
	switch dtype {
	case abi.BOOL:
		return n != 0
	case abi.INT8:
		return int64(int8(n))
	case abi.INT16:
		return int64(int16(n))
	case abi.INT32:
		return int64(int32(n))
	case abi.INT64:
		return int64(n)
	case abi.FP32:
		return float64(math.Float32frombits(uint32(n)))
	case abi.FP64:
		return math.Float64frombits(n)
	case abi.BF16:
		return float64(math.Float32frombits(uint32(n) << 16))
	case abi.FP16:
		return float16Value(uint16(n))
	default:
		return n
	}
}

// float16Value widens an IEEE 754 binary16 number.
func float16Value(half uint16) float64 {
	exp, frac := int(half>>10&0x1F), float64(half&0x3FF)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 0x1F:
		f = math.Inf(1)
		if frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if half&0x8000 != 0 {
		f = -f
	}
	return f
}

// expression is an expression that was parsed but not typed.
type expression struct {
	source string
	pos    Pos
	refs   []ExprInput // Type is not known yet
	expr   *Expr       // once it is typed
}

func exprEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxExprNesting),
		cel.ParserExpressionSizeLimit(maxExpressionBytes),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(maxExprLoops)),
	)
}

// parseExpr parses an expression of a node and resolves what it refers to; nil when there is a fault.
func (c *compiler) parseExpr(i int, source string, pos Pos) *expression {
	n := &c.g.Nodes[i]
	if c.expressions == nil {
		env, err := exprEnv()
		if err != nil {
			c.add(faultf(CodeBadExpression, pos, "expressions cannot be used: %s", err).at(n.Name, ""))
			return nil
		}
		c.expressions = env
	}
	tree, issues := c.expressions.Parse(source)
	if issues.Err() != nil {
		c.exprFault(n, pos, source, issues)
		return nil
	}
	w := &exprWalk{}
	w.walk(tree.NativeRep().Expr(), nil)
	e := &expression{source: source, pos: pos}
	ok := true
	for _, ref := range w.refs {
		name := ref[0]
		if _, isInput := c.inputs[name]; !isInput && len(ref) > 1 {
			name += "." + ref[1]
		}
		if slices.ContainsFunc(e.refs, func(in ExprInput) bool { return in.Name == name }) {
			continue
		}
		src := c.reference(i, name, pos, n.Name, "")
		ok = ok && src.Kind != SourceNone
		e.refs = append(e.refs, ExprInput{Name: name, From: src})
	}
	if !ok {
		return nil
	}
	return e
}

// exprFault reports the first issue of an expression; the others mostly follow from it.
func (c *compiler) exprFault(n *Node, pos Pos, source string, issues *cel.Issues) {
	message, at := issues.Err().Error(), ""
	if list := issues.Errors(); len(list) > 0 {
		message = list[0].Message
		if l := list[0].Location; l != nil && l.Line() == 1 {
			at = fmt.Sprintf(" at character %d", l.Column()+1)
		}
	}
	message = strings.TrimPrefix(strings.TrimSuffix(message, " (in container '')"), "Syntax error: ")
	message, _, _ = strings.Cut(message, " expecting {")
	c.add(faultf(CodeBadExpression, pos, "the expression %s is wrong%s: %s", quote(source), at, clip(message, 200)).at(n.Name, ""))
}

// exprWalk collects what an expression refers to: chains of names that no loop of the expression itself binds.
type exprWalk struct {
	refs [][]string
}

func (w *exprWalk) walk(e ast.Expr, bound []string) {
	switch e.Kind() {
	case ast.UnspecifiedExprKind, ast.LiteralKind:
	case ast.IdentKind:
		w.add([]string{e.AsIdent()}, bound)
	case ast.SelectKind:
		w.selection(e, bound)
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			w.walk(call.Target(), bound)
		}
		for _, arg := range call.Args() {
			w.walk(arg, bound)
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.walk(item, bound)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.walk(entry.AsMapEntry().Key(), bound)
			w.walk(entry.AsMapEntry().Value(), bound)
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			w.walk(field.AsStructField().Value(), bound)
		}
	case ast.ComprehensionKind:
		loop := e.AsComprehension()
		w.walk(loop.IterRange(), bound)
		w.walk(loop.AccuInit(), bound)
		inner := append(slices.Clone(bound), loop.IterVar(), loop.IterVar2(), loop.AccuVar())
		w.walk(loop.LoopCondition(), inner)
		w.walk(loop.LoopStep(), inner)
		w.walk(loop.Result(), inner)
	}
}

// selection follows a.b.c down to its name; what stands there may be an expression as well.
func (w *exprWalk) selection(e ast.Expr, bound []string) {
	var path []string
	for e.Kind() == ast.SelectKind {
		path = append(path, e.AsSelect().FieldName())
		e = e.AsSelect().Operand()
	}
	if e.Kind() != ast.IdentKind {
		w.walk(e, bound)
		return
	}
	path = append(path, e.AsIdent())
	slices.Reverse(path)
	w.add(path, bound)
}

func (w *exprWalk) add(path, bound []string) {
	if !slices.Contains(bound, path[0]) {
		w.refs = append(w.refs, path)
	}
}

// typeExpr checks an expression against the types of what it reads. want lists the kinds of result that it may have.
func (c *compiler) typeExpr(s *state, i int, e *expression, wanted string, want ...*cel.Type) {
	n := &c.g.Nodes[i]
	var opts []cel.EnvOption
	for k := range e.refs {
		in := &e.refs[k]
		edge := s.edge(in.From)
		if !edge.known {
			return
		}
		in.Type = s.typeOf(edge)
		t, ok := exprType(in.Type)
		if !ok {
			c.add(faultf(CodeBadExpression, e.pos, "expressions cannot read %s", quote(in.Name)).at(n.Name, "").
				between("text, json, a tensor of one number, or a list of those", in.Type.String()))
			return
		}
		opts = append(opts, cel.Variable(in.Name, t))
	}
	env, err := c.expressions.Extend(opts...)
	if err != nil {
		c.add(faultf(CodeBadExpression, e.pos, "the expression %s cannot be used: %s", quote(e.source), err).at(n.Name, ""))
		return
	}
	checked, issues := env.Compile(e.source)
	if issues.Err() != nil {
		c.exprFault(n, e.pos, e.source, issues)
		return
	}
	if out := checked.OutputType(); !slices.ContainsFunc(want, out.IsExactType) {
		c.add(faultf(CodeBadExpression, e.pos, "the expression %s has a result of the wrong type", quote(e.source)).at(n.Name, "").
			between(wanted, out.String()))
		return
	}
	program, err := env.Program(checked, cel.CostLimit(maxExprSteps), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		c.add(faultf(CodeBadExpression, e.pos, "the expression %s cannot be used: %s", quote(e.source), err).at(n.Name, ""))
		return
	}
	e.expr = &Expr{Source: e.source, Inputs: e.refs, program: program}
}

// exprType returns the type that a value has in an expression.
func exprType(t Type) (*cel.Type, bool) {
	if t.List > 0 {
		t.List--
		inner, ok := exprType(t)
		return cel.ListType(inner), ok
	}
	switch t.Kind {
	case abi.KindText:
		return cel.StringType, true
	case abi.KindJSON:
		return cel.DynType, true
	case abi.KindTensor:
		one := t.Shape != nil && !slices.ContainsFunc(t.Shape, func(d abi.Dim) bool { return d.Any || d.Name != "" || d.Size != 1 })
		number, ok := exprNumberType(t.DType)
		return number, one && ok
	default:
		return cel.DynType, false
	}
}

func exprNumberType(d abi.DType) (*cel.Type, bool) {
	switch d {
	case abi.BOOL:
		return cel.BoolType, true
	case abi.INT8, abi.INT16, abi.INT32, abi.INT64:
		return cel.IntType, true
	case abi.UINT8, abi.UINT16, abi.UINT32, abi.UINT64:
		return cel.UintType, true
	case abi.FP16, abi.BF16, abi.FP32, abi.FP64:
		return cel.DoubleType, true
	default:
		return cel.DynType, false
	}
}
