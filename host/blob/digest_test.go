package blob_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/blob"
)

func TestParseDigest(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for in, ok := range map[string]bool{
		"sha256:" + hex:                     true,
		"":                                  false,
		"sha256:":                           false,
		hex:                                 false,
		"sha512:" + hex:                     false,
		"SHA256:" + hex:                     false,
		"sha256:" + strings.ToUpper(hex):    false,
		"sha256:" + hex[1:]:                 false,
		"sha256:" + hex + "0":               false,
		"sha256:" + hex[:63] + "g":          false,
		"sha256:" + hex[:63] + "\n":         false,
		"sha256:" + hex[:62] + "é":          false,
		"sha256:../" + hex[3:]:              false,
		" sha256:" + hex[1:]:                false,
		"sha256:" + hex + "sha256:" + hex:   false,
		"sha256:" + strings.Repeat("0", 64): true,
	} {
		d, err := blob.ParseDigest(in)
		if (err == nil) != ok || blob.Digest(in).Valid() != ok {
			t.Errorf("%q: got %v, want ok %v", in, err, ok)
		}
		if err != nil && !errors.Is(err, blob.ErrInvalid) {
			t.Errorf("%q: got %v, want %v", in, err, blob.ErrInvalid)
		}
		if ok && (string(d) != in || d.Hex() != in[7:]) {
			t.Errorf("%q: got %q, %q", in, d, d.Hex())
		}
	}
	if _, err := blob.ParseDigest(strings.Repeat("x", 1<<20)); len(err.Error()) > 300 {
		t.Errorf("message of %d bytes", len(err.Error()))
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("a", 64))
	f.Add("sha256:" + strings.Repeat("A", 64))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := blob.ParseDigest(s)
		if err != nil {
			return
		}
		if string(d) != s || len(d.Hex()) != 64 || strings.ContainsAny(d.Hex(), "./\\\x00") {
			t.Fatalf("accepted %q", s)
		}
	})
}
