package catalog

import (
	"context"
	"fmt"

	"github.com/tandem-serve/tandem/host/tenant"
)

// SetTag makes a tag point to a version of a model or plugin or to a release of a graph, in one step: whoever reads the
// tag gets the version before or this one. It returns the version that the tag pointed to before, 0 for none. Tags that
// move by themselves are [ErrInvalid], a version that is not there is [ErrNotFound].
func (c *Catalog) SetTag(ctx context.Context, kind Kind, t tenant.ID, name, tag string, version int) (was int, err error) {
	key, err := taggedKey(kind, t, name, tag)
	if err != nil {
		return 0, err
	}
	if version < 1 {
		err = ErrNotFound
	} else if kind == KindGraph {
		was, err = c.tagGraph(ctx, t, name, tag, version)
	} else {
		was, err = c.tagVersion(ctx, key, tag, version)
	}
	if err != nil {
		return 0, fmt.Errorf("tag %s %s@%d as %s: %w", kind, name, version, tag, err)
	}
	return was, nil
}

func (c *Catalog) tagVersion(ctx context.Context, key, tag string, version int) (was int, err error) {
	_, _, err = update(ctx, c.bucket, key, func(a *aggregate) error {
		if _, err := a.find(reference{version: version}); err != nil {
			return err
		}
		was, err = moveTag(&a.Tags, tag, version, maxVersions)
		return err
	})
	return was, err
}

func (c *Catalog) tagGraph(ctx context.Context, t tenant.ID, name, tag string, version int) (was int, err error) {
	_, err = c.moveGraph(ctx, t, name, reference{version: version}, func(p *pointer, v int, pins []Pin) error {
		if was, err = moveTag(&p.Tags, tag, v, maxGraphTags); err != nil {
			return err
		}
		p.hold(v, pins)
		p.letGo()
		return nil
	})
	return was, err
}

// moveTag sets a tag and returns what it was. It returns errUnchanged when it was that already.
func moveTag(tags *map[string]int, tag string, version, most int) (was int, err error) {
	was, there := (*tags)[tag]
	switch {
	case was == version:
		return was, errUnchanged
	case !there && len(*tags) >= most:
		return 0, fmt.Errorf("%w: %d tags", ErrLimit, most)
	case *tags == nil:
		*tags = make(map[string]int)
	}
	(*tags)[tag] = version
	return was, nil
}

// DeleteTag removes a tag and returns the version that it pointed to, or [ErrNotFound].
func (c *Catalog) DeleteTag(ctx context.Context, kind Kind, t tenant.ID, name, tag string) (was int, err error) {
	key, err := taggedKey(kind, t, name, tag)
	if err != nil {
		return 0, err
	}
	remove := func(tags map[string]int) error {
		v, ok := tags[tag]
		if !ok {
			return ErrNotFound
		}
		was = v
		delete(tags, tag)
		return nil
	}
	if kind == KindGraph {
		_, _, err = update(ctx, c.bucket, key, func(p *pointer) error {
			if err := remove(p.Tags); err != nil {
				return err
			}
			p.letGo()
			return nil
		})
	} else {
		_, _, err = update(ctx, c.bucket, key, func(a *aggregate) error { return remove(a.Tags) })
	}
	if err != nil {
		return 0, fmt.Errorf("untag %s %s@%s: %w", kind, name, tag, err)
	}
	return was, nil
}

// Tags returns the version of every tag, also of those that move by themselves, or [ErrNotFound].
func (c *Catalog) Tags(ctx context.Context, kind Kind, t tenant.ID, name string) (map[string]int, error) {
	if kind == KindGraph {
		g, err := c.DescribeGraph(ctx, t, name)
		return g.Tags, err
	}
	fs, err := c.listVersions(ctx, kind, t, name)
	if err != nil {
		return nil, err
	}
	tags := make(map[string]int)
	for _, f := range fs {
		for _, tag := range f.Tags {
			tags[tag] = f.Version
		}
	}
	return tags, nil
}

// Automatic reports whether a tag moves by itself: [Latest], and for graphs [Current], [Previous] and [CanaryTag].
func Automatic(kind Kind, tag string) bool {
	return tag == Latest || kind == KindGraph && (tag == Current || tag == Previous || tag == CanaryTag)
}

// taggedKey returns the key of an object that may have the tag.
func taggedKey(kind Kind, t tenant.ID, name, tag string) (string, error) {
	if err := tenant.CheckTag(tag); err != nil {
		return "", err
	}
	if Automatic(kind, tag) {
		return "", fmt.Errorf("%w: the tag %s moves by itself", ErrInvalid, tag)
	}
	return objectKey(kind, t, name)
}
