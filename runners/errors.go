package runners

import "errors"

// Errors that every runner returns for the same reason; test with errors.Is.
var (
	// ErrClosed: Run was called after Close.
	ErrClosed = errors.New("runner is closed")
	// ErrShape: a tensor's dtype, shape or length is not what the model or the tensor itself says. The request is at fault.
	ErrShape = errors.New("tensor does not fit")
	// ErrModel: the model's file is damaged, not allowed or not supported. The model is at fault.
	ErrModel = errors.New("model cannot be used")
	// ErrRun: the model failed while it ran on inputs that fit its signature.
	ErrRun = errors.New("model run failed")
	// ErrOverloaded: the runner has more to do than it may take on, or could not be done before the deadline. Nothing was run;
	// it may be tried again later.
	ErrOverloaded = errors.New("model is overloaded")
	// ErrCrashed: the process that ran the model ended before the run did. Whether the model, this run or one beside it was at
	// fault is not known; the model is there again for the next run.
	ErrCrashed = errors.New("model's process ended")
	// ErrUnavailable: this build or machine lacks what the runner needs; the text says what and how to get it.
	ErrUnavailable = errors.New("runner unavailable")
)
