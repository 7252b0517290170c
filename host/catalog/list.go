package catalog

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/tandem-serve/tandem/host/tenant"
)

// list returns a page of a tenant's records of one kind, sorted by name, and a token for more. take turns a record into
// an entry, or returns false to leave it out.
func list[T, E any](ctx context.Context, b *bucket, kind Kind, t tenant.ID, p Page, take func(name string, rec T) (E, bool)) ([]E, string, error) {
	if err := tenant.CheckID(t); err != nil {
		return nil, "", err
	}
	size, after, err := parsePage(p)
	if err != nil {
		return nil, "", err
	}
	prefix := string(kind) + "." + string(t) + "."
	keys, err := b.keys(ctx, prefix+">")
	if err != nil {
		return nil, "", fmt.Errorf("list %ss: %w", kind, err)
	}
	var entries []E
	last := ""
	for _, key := range keys[sort.Search(len(keys), func(i int) bool { return keys[i] > prefix+after }):] {
		if p.Only != nil && !p.Only(key[len(prefix):]) {
			continue
		}
		rec, _, err := get[T](ctx, b, key)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, "", fmt.Errorf("list %ss: %w", kind, err)
		}
		e, ok := take(key[len(prefix):], rec)
		if !ok {
			continue
		}
		if len(entries) == size {
			return entries, pageToken(last), nil
		}
		entries, last = append(entries, e), key[len(prefix):]
	}
	return entries, "", nil
}
