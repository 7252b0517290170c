package catalog

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// reference is a parsed reference to a version. At most one field is set; none is the newest version, or for a graph
// the current one.
type reference struct {
	version int
	digest  blob.Digest
	tag     string
}

// parseRef reads "", "@3", "@sha256:…", "@prod", each also without the "@". Its errors wrap [ErrInvalid].
func parseRef(ref string) (reference, error) {
	s := strings.TrimPrefix(ref, "@")
	switch {
	case s == "" && ref == "":
		return reference{}, nil
	case s == "":
		return reference{}, fmt.Errorf("%w: empty reference after @", ErrInvalid)
	case strings.HasPrefix(s, "sha256:"):
		d, err := blob.ParseDigest(s)
		if err != nil {
			return reference{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return reference{digest: d}, nil
	case s[0] >= '0' && s[0] <= '9':
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || strconv.Itoa(n) != s {
			return reference{}, fmt.Errorf("%w: version %.40q", ErrInvalid, s)
		}
		return reference{version: n}, nil
	}
	if err := tenant.CheckTag(s); err != nil {
		return reference{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return reference{tag: s}, nil
}

// at returns r, which has a version or a tag, as it is written behind a name.
func (r reference) at() string {
	if r.tag != "" {
		return "@" + r.tag
	}
	return fmt.Sprintf("@%d", r.version)
}

// Page sizes.
const (
	defaultPage = 100
	maxPage     = 1000
)

// parsePage returns the number of entries wanted and the name after which they start, "" for the first.
func parsePage(p Page) (size int, after string, err error) {
	if p.Size < 0 {
		return 0, "", fmt.Errorf("%w: page size %d", ErrInvalid, p.Size)
	}
	size = min(p.Size, maxPage)
	if size == 0 {
		size = defaultPage
	}
	if p.Token == "" {
		return size, "", nil
	}
	name, err := base64.RawURLEncoding.DecodeString(p.Token)
	if err != nil || tenant.CheckName(string(name)) != nil || pageToken(string(name)) != p.Token {
		return 0, "", fmt.Errorf("%w: page token", ErrInvalid)
	}
	return size, string(name), nil
}

func pageToken(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }
