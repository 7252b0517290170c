package catalog

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
)

const (
	// schema is the version of all record types. Adding a field that may be absent does not change it.
	schema = 1
	// maxRecordBytes is the largest record.
	maxRecordBytes = 4 << 20
)

// envelope is what a record is stored in.
type envelope struct {
	Schema int `json:"schema"`
	// CRC32C covers the bytes of Record as they stand.
	CRC32C uint32          `json:"crc32c"`
	Record json.RawMessage `json:"record"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns v in its envelope. [ErrLimit] is its only error for what our types can hold.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// json.Marshal compacts and escapes a RawMessage; body is compact and escaped, so it comes out as it goes in.
	data, err := json.Marshal(envelope{Schema: schema, CRC32C: crc32.Checksum(body, castagnoli), Record: body})
	if err != nil {
		return nil, err
	}
	if len(data) > maxRecordBytes {
		return nil, fmt.Errorf("%w: a record of %d bytes, at most %d", ErrLimit, len(data), maxRecordBytes)
	}
	return data, nil
}

// decode is the inverse of encode. Its errors wrap [ErrCorrupt].
func decode[T any](key string, data []byte) (T, error) {
	var v T
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return v, fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
	}
	if e.Schema != schema {
		return v, fmt.Errorf("%w: %s: schema %d, this server knows %d", ErrCorrupt, key, e.Schema, schema)
	}
	if sum := crc32.Checksum(e.Record, castagnoli); sum != e.CRC32C {
		return v, fmt.Errorf("%w: %s: checksum %08x, want %08x", ErrCorrupt, key, sum, e.CRC32C)
	}
	if err := json.Unmarshal(e.Record, &v); err != nil {
		return v, fmt.Errorf("%w: %s: %w", ErrCorrupt, key, err)
	}
	return v, nil
}
