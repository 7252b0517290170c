package plugin

import "errors"

// Errors of calls of models.
var (
	ErrNotFound = errors.New("not found")
	ErrDeadline = errors.New("not done in time")
	ErrModel    = errors.New("the model failed; the server's log says why")
)

// Named is an input or output of a model: a tensor, or a JSON document for outputs that are sequences or maps. Without a
// name it stands for the one at the same position.
type Named struct {
	Name   string
	Tensor AnyTensor
	JSON   JSON
}

// Input returns t as the input of a model, over the same memory.
func Input[T Element](name string, t Tensor[T]) Named { return Named{Name: name, Tensor: AnyOf(t)} }

// ModelHost is a Host that also runs models. The server is one; so is plugintest.Recorder. Timeouts are milliseconds; a
// negative one waits as long as the call may.
type ModelHost interface {
	// OpenModel returns the number of a model that the node may call.
	OpenModel(name string) (model int32, err error)
	// RunModel runs a model and returns the outputs asked for, by name, or by position where the name is "".
	RunModel(model int32, in []Named, outputs []string) ([]Named, error)
	// StartModel starts a model on copies of its inputs.
	StartModel(model int32, in []Named) (ticket uint32, err error)
	// WaitModel waits for what was started and returns its outputs; afterwards the ticket is used up, but not when the error
	// is ErrDeadline.
	WaitModel(ticket uint32, outputs []string, timeoutMS int32) ([]Named, error)
	// WaitAnyModel returns the index of a ticket that is done, which stays valid.
	WaitAnyModel(tickets []uint32, timeoutMS int32) (int, error)
}

// Model is a model that the node may call, for the length of the call.
type Model struct {
	host ModelHost
	n    int32
}

// Model returns a model by the name under which the graph lists it in the node's may_call, or by that name without its
// version. It fails with [ErrDenied] for every other.
func (c *Context) Model(name string) (*Model, error) {
	host, ok := c.host.(ModelHost)
	if !ok {
		return nil, ErrDenied
	}
	n, err := host.OpenModel(name)
	if err != nil {
		return nil, errors.New("model " + name + ": " + err.Error())
	}
	return &Model{host: host, n: n}, nil
}

// Run runs the model and waits. It returns the outputs that are named, in that order; without any, the first.
func (m *Model) Run(in []Named, outputs ...string) ([]Named, error) {
	return m.host.RunModel(m.n, in, orFirst(outputs))
}

// Start starts the model and goes on; the inputs are copied. At most 64 runs of a call may be open, and what was never
// waited for ends with the call.
func (m *Model) Start(in []Named, outputs ...string) (*Ticket, error) {
	n, err := m.host.StartModel(m.n, in)
	if err != nil {
		return nil, err
	}
	return &Ticket{host: m.host, n: n, outputs: orFirst(outputs)}, nil
}

func orFirst(outputs []string) []string {
	if len(outputs) == 0 {
		return []string{""}
	}
	return outputs
}

// Ticket is a run of a model that was started.
type Ticket struct {
	host    ModelHost
	n       uint32
	outputs []string
}

// Wait waits for the run and returns the outputs that Start named. It may be called once.
func (t *Ticket) Wait() ([]Named, error) { return t.host.WaitModel(t.n, t.outputs, -1) }

// WaitAll waits for several runs and returns the outputs of each. After the first failure it waits for none of the rest,
// which end with the call.
func WaitAll(tickets ...*Ticket) ([][]Named, error) {
	out := make([][]Named, len(tickets))
	for i, t := range tickets {
		var err error
		if out[i], err = t.Wait(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// WaitAny waits until one of several runs is done and returns its index; Wait then returns at once. It fails with
// [ErrNotFound] when it is given none.
func WaitAny(tickets ...*Ticket) (int, error) {
	if len(tickets) == 0 {
		return 0, ErrNotFound
	}
	numbers := make([]uint32, len(tickets))
	for i, t := range tickets {
		numbers[i] = t.n
	}
	return tickets[0].host.WaitAnyModel(numbers, -1)
}
