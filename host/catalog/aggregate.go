package catalog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// maxVersions is the most versions that a model or plugin has at a time.
const maxVersions = 1000

// aggregate is the record of a model or plugin: all its versions and tags. One without versions is a deleted one; it
// stays, so that version numbers are not used twice.
type aggregate struct {
	// Last is the newest version number ever given.
	Last int `json:"last"`
	// Versions are in ascending order.
	Versions []version `json:"versions,omitempty"`
	// Tags does not have [Latest].
	Tags   map[string]int `json:"tags,omitempty"`
	Leases leases         `json:"leases,omitempty"`
}

// version is one version of a model or plugin.
type version struct {
	Version   int               `json:"version"`
	Digest    blob.Digest       `json:"digest"`
	Size      int64             `json:"size"`
	CreatedAt time.Time         `json:"created_at"`
	Meta      map[string]string `json:"meta,omitempty"`
	// Doc is the model's signature or the plugin's description.
	Doc json.RawMessage `json:"doc,omitempty"`
	// Options are a model's.
	Options json.RawMessage `json:"options,omitempty"`
}

var _ leasable = (*aggregate)(nil)

func (a *aggregate) leases() *leases { return &a.Leases }

func (a *aggregate) pinnable(p Pin) error {
	v, err := a.find(reference{version: p.Version})
	if err == nil && v.Digest != p.Digest {
		return fmt.Errorf("%w with digest %s", ErrNotFound, p.Digest)
	}
	return err
}

// newest returns the newest version, or nil.
func (a *aggregate) newest() *version {
	if len(a.Versions) == 0 {
		return nil
	}
	return &a.Versions[len(a.Versions)-1]
}

// find returns the version that r names, or [ErrNotFound].
func (a *aggregate) find(r reference) (*version, error) {
	if r == (reference{}) || r.tag == Latest {
		if v := a.newest(); v != nil {
			return v, nil
		}
		return nil, ErrNotFound
	}
	number := r.version
	if r.tag != "" {
		number = a.Tags[r.tag]
	}
	for i := range slices.Backward(a.Versions) {
		if v := &a.Versions[i]; v.Version == number || v.Digest == r.digest {
			return v, nil
		}
	}
	return nil, ErrNotFound
}

// add appends a version with the next number.
func (a *aggregate) add(v version) error {
	if len(a.Versions) >= maxVersions {
		return fmt.Errorf("%w: %d versions", ErrLimit, maxVersions)
	}
	a.Last++
	v.Version = a.Last
	a.Versions = append(a.Versions, v)
	return nil
}

// removeVersion removes a version with its tags; 0 removes all.
func (a *aggregate) removeVersion(number int) Removed {
	var r Removed
	a.Versions = slices.DeleteFunc(a.Versions, func(v version) bool {
		gone := number == 0 || v.Version == number
		if gone {
			r.Versions = append(r.Versions, v.Version)
		}
		return gone
	})
	maps.DeleteFunc(a.Tags, func(tag string, n int) bool {
		gone := number == 0 || n == number
		if gone {
			r.Tags = append(r.Tags, tag)
		}
		return gone
	})
	slices.Sort(r.Tags)
	return r
}

// object returns what v and its tags say.
func (a *aggregate) object(t tenant.ID, name string, v *version) Object {
	o := Object{
		Tenant: t, Name: name, Version: v.Version, Digest: v.Digest, Size: v.Size, CreatedAt: v.CreatedAt, Meta: v.Meta,
	}
	for tag, number := range a.Tags {
		if number == v.Version {
			o.Tags = append(o.Tags, tag)
		}
	}
	if v.Version == a.newest().Version {
		o.Tags = append(o.Tags, Latest)
	}
	slices.Sort(o.Tags)
	return o
}
