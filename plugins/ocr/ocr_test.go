package ocr

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/tandem-serve/tandem/sdk/go/plugintest"
)

func TestPlugin(t *testing.T) { plugintest.Check(t, Plugin()) }

func TestCharacters(t *testing.T) {
	sum := sha256.Sum256([]byte(keys))
	if got := hex.EncodeToString(sum[:]); got != "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7" {
		t.Errorf("the list of characters is another one: %s", got)
	}
	r := newReader(keys)
	if got := len(r.characters); got != 6625 {
		t.Errorf("got %d classes, want 6625", got)
	}
	if r.characters[0] != "" || r.characters[6624] != " " {
		t.Errorf("got %q first and %q last, want the blank and the space", r.characters[0], r.characters[6624])
	}
}
