package wire

import (
	"compress/flate"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectgzip"
)

// compressor is gzip at its fastest, for what an answer costs most is time.
var compressor connect.Compressor = connectgzip.New(connectgzip.WithLevel(flate.BestSpeed))
