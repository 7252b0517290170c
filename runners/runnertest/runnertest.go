// Package runnertest is the conformance suite of runners.Runner: every runner passes it.
package runnertest

import (
	"testing"

	"github.com/tandem-serve/tandem/runners"
)

// Makers make the runners that the suite uses. Each call gives a fresh one, which the suite closes. A maker that is nil
// leaves its part of the suite out, which a runner may do for what it cannot have by its nature; say why beside it.
type Makers struct {
	// AddSub takes a and b, FP32 [batch, 3], and gives their sum and difference, FP32 [batch, 3].
	AddSub func(t *testing.T) runners.Runner
	// Echo takes x of the dtype and of any rank and gives it back as y.
	Echo func(t *testing.T, d runners.DType) runners.Runner
	// Slow takes steps, INT64 of rank 0, and x, FP32 [n, n], and gives the product y = x * x * ... of steps factors and x
	// itself. A step with n = 64 takes between 10 µs and 10 ms.
	Slow func(t *testing.T) runners.Runner
	// Document has one input x, FP32 [batch, 2], and one JSON output: for each row an object with the row's numbers under
	// the keys "0" and "1", all in one array.
	Document func(t *testing.T) runners.Runner
	// Broken takes x, FP32 of any rank, and fails on tensors of 7 and more elements; it gives others back as y.
	Broken func(t *testing.T) runners.Runner
}

// Test runs the suite.
func Test(t *testing.T, m Makers) {
	t.Helper()
	for _, part := range []struct {
		name string
		made bool
		run  func(suite)
	}{
		{"signature", m.AddSub != nil, suite.testSignature},
		{"results", m.AddSub != nil, suite.testResults},
		{"empty batch", m.AddSub != nil, suite.testEmptyBatch},
		{"concurrent", m.AddSub != nil, suite.testConcurrent},
		{"bad inputs", m.AddSub != nil, suite.testBadInputs},
		{"bad outputs", m.AddSub != nil, suite.testBadOutputs},
		{"dtypes", m.Echo != nil, suite.testDTypes},
		{"outputs are their own", m.Echo != nil, suite.testOwnOutputs},
		{"strings that misfit", m.Echo != nil, suite.testStringsMisfit},
		{"documents", m.Document != nil, suite.testDocument},
		{"failure", m.Broken != nil, suite.testFailure},
		{"done before", m.AddSub != nil, suite.testDoneBefore},
		{"cancelled during", m.Slow != nil, suite.testCancelled},
		{"cancelled among others", m.Slow != nil, suite.testCancelledAmongOthers},
		{"close", m.AddSub != nil, suite.testClose},
		{"close waits", m.Slow != nil, suite.testCloseWaits},
		{"collector", m.Slow != nil, suite.testCollector},
	} {
		if part.made {
			t.Run(part.name, func(t *testing.T) { part.run(suite{t, m}) })
		}
	}
}

// suite is one part of the suite as it runs.
type suite struct {
	*testing.T
	Makers
}

func (t suite) newAddSub() runners.Runner {
	t.Helper()
	return closing(t.T, t.AddSub(t.T))
}

func closing(t *testing.T, r runners.Runner) runners.Runner {
	t.Helper()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}
