package graph

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
)

// maxStickyBytes bounds an expression that stands outside a graph.
const maxStickyBytes = 1024

// CompileSticky compiles an expression over the inputs of a graph, such as a graph's `sticky` has over those of its node:
// calls with an equal value belong together. Its sources are SourceInput. The error wraps ErrExpr and is for people.
func CompileSticky(source string, inputs []PlanInput) (*Expr, error) {
	if len(source) > maxStickyBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrExpr, len(source), maxStickyBytes)
	}
	env, err := exprEnv()
	if err != nil {
		return nil, err
	}
	tree, issues := env.Parse(source)
	if issues.Err() != nil {
		return nil, stickyError(source, issues)
	}
	w := &exprWalk{}
	w.walk(tree.NativeRep().Expr(), nil)
	refs, opts, err := stickyInputs(source, w.refs, inputs)
	if err != nil {
		return nil, err
	}
	if env, err = env.Extend(opts...); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrExpr, quote(source), err)
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, stickyError(source, issues)
	}
	if out := checked.OutputType(); !slices.ContainsFunc(stickyTypes(), out.IsExactType) {
		return nil, fmt.Errorf("%w: %s: the result is %s, want text, a number or a truth value", ErrExpr, quote(source), out)
	}
	program, err := env.Program(checked, cel.CostLimit(maxExprSteps), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrExpr, quote(source), err)
	}
	return &Expr{Source: source, Inputs: refs, program: program}, nil
}

// stickyTypes are the types that a sticky value may have.
func stickyTypes() []*cel.Type {
	return []*cel.Type{cel.StringType, cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType, cel.DynType}
}

// stickyInputs finds the inputs that an expression refers to.
func stickyInputs(source string, refs [][]string, inputs []PlanInput) (found []ExprInput, opts []cel.EnvOption, err error) {
	for _, ref := range refs {
		name := ref[0]
		if slices.ContainsFunc(found, func(in ExprInput) bool { return in.Name == name }) {
			continue
		}
		i := slices.IndexFunc(inputs, func(in PlanInput) bool { return in.Name == name })
		if i < 0 {
			names := make([]string, len(inputs))
			for k := range inputs {
				names[k] = inputs[k].Name
			}
			return nil, nil, fmt.Errorf("%w: %s: the graph has no input %s; it has: %s", ErrExpr, quote(source), quote(name), strings.Join(names, ", "))
		}
		t, ok := exprType(inputs[i].Type)
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s: the input %s is %s, want text, json, a tensor of one number, or a list of those",
				ErrExpr, quote(source), quote(name), inputs[i].Type)
		}
		found = append(found, ExprInput{Name: name, From: Source{Kind: SourceInput, Index: i}, Type: inputs[i].Type})
		opts = append(opts, cel.Variable(name, t))
	}
	return found, opts, nil
}

func stickyError(source string, issues *cel.Issues) error {
	message := issues.Err().Error()
	if list := issues.Errors(); len(list) > 0 {
		message = list[0].Message
	}
	message, _, _ = strings.Cut(message, " expecting {")
	return fmt.Errorf("%w: %s: %s", ErrExpr, quote(source), clip(message, 200))
}
