package value

import (
	"strings"
	"testing"
	"unsafe"
)

func TestTextIsNotCopied(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("é", 1<<20)} {
		v := Text(text)
		if got := StringOf(v.Data); got != text || unsafe.StringData(got) != unsafe.StringData(text) {
			t.Errorf("%d bytes are other ones on the way back", len(text))
		}
	}
}
