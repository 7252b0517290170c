package blob

import (
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	digestPrefix = "sha256:"
	digestLen    = len(digestPrefix) + 64
)

// Digest names content by its SHA-256: "sha256:" and 64 lower-case hexadecimal digits. The zero Digest names nothing.
type Digest string

// ParseDigest returns s as a Digest, or an error wrapping [ErrInvalid].
func ParseDigest(s string) (Digest, error) {
	d := Digest(s)
	if !d.Valid() {
		if len(s) > digestLen {
			s = s[:digestLen] + "…"
		}
		return "", fmt.Errorf("%w: digest %q (want sha256: and 64 lower-case hexadecimal digits)", ErrInvalid, s)
	}
	return d, nil
}

// Valid reports whether d is well formed.
func (d Digest) Valid() bool {
	s, ok := strings.CutPrefix(string(d), digestPrefix)
	return ok && len(d) == digestLen && strings.Trim(s, "0123456789abcdef") == ""
}

// Hex returns the 64 hexadecimal digits of a valid d.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

func digestOf(sum []byte) Digest { return Digest(digestPrefix + hex.EncodeToString(sum)) }
