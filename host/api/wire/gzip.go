package wire

import (
	"compress/flate"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"
)

// newGzip returns gzip at its fastest, for what an answer costs most is time.
func newGzip() connect.Compressor {
	return connectgzip.New(connectgzip.WithLevel(flate.BestSpeed))
}
