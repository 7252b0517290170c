package catalog

import (
	"testing"

	"github.com/tandem-serve/tandem/host/tenant"
)

// FuzzPage reads tokens of pages, which come from callers: one is refused, or names where a page starts and is written the same again.
func FuzzPage(f *testing.F) {
	for _, s := range []string{"", pageToken("adder"), pageToken("a/../b"), "%%%", "YQ==", "YR"} {
		f.Add(s, 10)
	}
	f.Add("", -1)
	f.Fuzz(func(t *testing.T, token string, size int) {
		n, after, err := parsePage(Page{Token: token, Size: size})
		if err != nil {
			return
		}
		if n < 1 || n > maxPage {
			t.Errorf("a page of %d", n)
		}
		if token == "" {
			return
		}
		if tenant.CheckName(after) != nil {
			t.Errorf("a page after %q", after)
		}
		if again := pageToken(after); again != token {
			t.Errorf("%q was read as %q", token, again)
		}
	})
}
