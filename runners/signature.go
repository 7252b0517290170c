package runners

// Signature is what a model takes and gives.
type Signature struct {
	Inputs  []Port
	Outputs []Port
}

// Port is one named input or output of a model.
type Port struct {
	Name  string
	DType DType
	// Dims is nil when the model does not say the rank; an empty, non-nil slice is a scalar.
	Dims []Dim
	// JSON ports are sequences and maps (as sklearn and XGBoost exports emit): the runner gives them as one JSON document in
	// a scalar BYTES tensor. DType is BYTES and Dims is empty for them.
	JSON bool
}

// Dim is one dimension: a fixed size, or -1 with the model's symbolic name ("" when it gives none).
type Dim struct {
	Size int64
	Name string
}
