package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

const (
	// maxDocumentBytes is the largest graph document.
	maxDocumentBytes = 1 << 20
	// maxPins is the most pins of a release.
	maxPins = 4096
	// maxReleases is how many releases of a graph are kept; the oldest that nothing needs go first.
	maxReleases = 200
)

// pointer is the record of a graph: where its calls go, and which releases there are. One without releases is a deleted
// graph; it stays, so that version numbers are not used twice.
type pointer struct {
	// Last is the newest version number ever given.
	Last int `json:"last"`
	// Current is the version that calls go to.
	Current int `json:"current,omitempty"`
	// Before is the version that was current before, 0 for none.
	Before int `json:"before,omitempty"`
	// Pins are those of the current release, here so that finding out what is in use takes no second read.
	Pins []Pin `json:"pins,omitempty"`
	// Held has the pins of the other live releases; see live.
	Held map[int][]Pin `json:"held,omitempty"`
	// Releases are in ascending order of their versions.
	Releases []releaseHead `json:"releases,omitempty"`
	// Tags does not have the ones that move by themselves.
	Tags map[string]int `json:"tags,omitempty"`
	// Canary gets a part of the calls; nil is none.
	Canary *Canary `json:"canary,omitempty"`
	Leases leases  `json:"leases,omitempty"`
}

// releaseHead names a release record. The record's key has a random id, so that two publishers never write the same one.
type releaseHead struct {
	Version   int         `json:"version"`
	ID        string      `json:"id"`
	Digest    blob.Digest `json:"digest"`
	CreatedAt time.Time   `json:"created_at"`
	By        string      `json:"by,omitempty"`
	// Staged releases have never been the current one.
	Staged bool `json:"staged,omitempty"`
	// Size is what the record takes, in bytes.
	Size int64 `json:"size,omitempty"`
}

// releaseRecord is an immutable release. Its version is in the head only: it is given when the graph moves on to it.
type releaseRecord struct {
	Name      string      `json:"name"`
	Document  []byte      `json:"document"`
	Pins      []Pin       `json:"pins,omitempty"`
	Digest    blob.Digest `json:"digest"`
	CreatedAt time.Time   `json:"created_at"`
	By        string      `json:"by,omitempty"`
}

var _ leasable = (*pointer)(nil)

func (p *pointer) leases() *leases { return &p.Leases }

func (p *pointer) pinnable(pin Pin) error {
	h, err := p.find(reference{version: pin.Version})
	if err == nil && h.Digest != pin.Digest {
		return fmt.Errorf("%w with digest %s", ErrNotFound, pin.Digest)
	}
	return err
}

// find returns the release that r names, or [ErrNotFound].
func (p *pointer) find(r reference) (releaseHead, error) {
	number := p.number(r)
	for _, h := range slices.Backward(p.Releases) {
		if h.Version == number || h.Digest == r.digest {
			return h, nil
		}
	}
	return releaseHead{}, ErrNotFound
}

// number returns the version that r names without a digest, 0 for none.
func (p *pointer) number(r reference) int {
	switch {
	case r == (reference{}) || r.tag == Current:
		return p.Current
	case r.tag == Latest:
		return p.newest()
	case r.tag == Previous:
		return p.previous()
	case r.tag == CanaryTag && p.Canary != nil:
		return p.Canary.Version
	case r.tag != "":
		return p.Tags[r.tag]
	}
	return r.version
}

// newest returns the newest version, 0 when there is none.
func (p *pointer) newest() int {
	if len(p.Releases) == 0 {
		return 0
	}
	return p.Releases[len(p.Releases)-1].Version
}

// previous returns the version that a roll-back goes to, 0 for none: the newest before the current one that has been
// current itself.
func (p *pointer) previous() int {
	for _, h := range slices.Backward(p.Releases) {
		if h.Version < p.Current && !h.Staged {
			return h.Version
		}
	}
	return 0
}

// live reports whether a release is one that calls may go to at any moment: the current one, the one before, the newest,
// the canary, and those with a tag. What they pin cannot be deleted, and they are never trimmed.
func (p *pointer) live(version int) bool {
	if version == p.Current || version == p.Before || version == p.newest() || p.Canary != nil && version == p.Canary.Version {
		return true
	}
	for _, tagged := range p.Tags {
		if version == tagged {
			return true
		}
	}
	return false
}

// pinned yields the live releases with their pins, the current one first, the others in ascending order.
func (p *pointer) pinned() iter.Seq2[int, []Pin] {
	return func(yield func(int, []Pin) bool) {
		if p.Current == 0 || !yield(p.Current, p.Pins) {
			return
		}
		for _, v := range slices.Sorted(maps.Keys(p.Held)) {
			if !yield(v, p.Held[v]) {
				return
			}
		}
	}
}

// holds reports whether what a release pins is protected already.
func (p *pointer) holds(version int) bool {
	_, ok := p.Held[version]
	return ok || version == p.Current
}

// hold protects what a release pins as long as it is live.
func (p *pointer) hold(version int, pins []Pin) {
	if version == p.Current {
		return
	}
	if p.Held == nil {
		p.Held = make(map[int][]Pin)
	}
	p.Held[version] = pins
}

// letGo ends the protection of what releases pin that are not live any more.
func (p *pointer) letGo() {
	maps.DeleteFunc(p.Held, func(version int, _ []Pin) bool { return version == p.Current || !p.live(version) })
}

// moveTo makes a release the current one for all calls: a canary ends.
func (p *pointer) moveTo(version int, pins []Pin) {
	p.Canary = nil
	if was := p.Current; was != version {
		p.Before, p.Current = was, version
		if was != 0 {
			p.hold(was, p.Pins)
		}
		p.Pins = pins
	}
	for i := range p.Releases {
		if p.Releases[i].Version == version {
			p.Releases[i].Staged = false
		}
	}
	p.letGo()
}

// add appends a release with the next version number, which becomes the current one unless it is staged. The first one
// does so in any case.
func (p *pointer) add(h releaseHead, pins []Pin) releaseHead {
	p.Last++
	h.Version = p.Last
	h.Staged = h.Staged && p.Current != 0
	p.Releases = append(p.Releases, h)
	if h.Staged {
		p.hold(h.Version, pins)
		p.letGo()
	} else {
		p.moveTo(h.Version, pins)
	}
	return h
}

// trim removes the oldest releases over the limit, but none that is live or in keep, and returns what it removed.
func (p *pointer) trim(keep map[int]bool) []releaseHead {
	over := len(p.Releases) - maxReleases
	var gone []releaseHead
	p.Releases = slices.DeleteFunc(p.Releases, func(h releaseHead) bool {
		if len(gone) >= over || keep[h.Version] || p.live(h.Version) {
			return false
		}
		gone = append(gone, h)
		return true
	})
	return gone
}

func (h releaseHead) release(t tenant.ID, name string, p *pointer) Release {
	r := Release{
		Tenant: t, Name: name, Version: h.Version, Digest: h.Digest, CreatedAt: h.CreatedAt, By: h.By, Staged: h.Staged,
		Current: h.Version == p.Current,
	}
	for tag, version := range p.Tags {
		if version == h.Version {
			r.Tags = append(r.Tags, tag)
		}
	}
	if h.Version == p.newest() {
		r.Tags = append(r.Tags, Latest)
	}
	slices.Sort(r.Tags)
	return r
}

// newRelease returns the record for what is to be published, with the pins sorted and each once.
func newRelease(p ReleaseParams, now time.Time) (releaseRecord, error) {
	if len(p.Document) == 0 || len(p.Document) > maxDocumentBytes || len(p.Pins) > maxPins {
		return releaseRecord{}, fmt.Errorf("%w: a document of %d bytes with %d pins, at most %d and %d",
			ErrLimit, len(p.Document), len(p.Pins), maxDocumentBytes, maxPins)
	}
	pins := slices.Clone(p.Pins)
	slices.SortFunc(pins, comparePins)
	pins = slices.Compact(pins)
	for i, pin := range pins {
		if err := checkPin(pin); err != nil {
			return releaseRecord{}, err
		}
		if i > 0 && pins[i-1].Kind == pin.Kind && pins[i-1].Name == pin.Name && pins[i-1].Version == pin.Version &&
			pins[i-1].Digest != pin.Digest {
			return releaseRecord{}, fmt.Errorf("%w: %s %s@%d is pinned with two digests", ErrInvalid, pin.Kind, pin.Name, pin.Version)
		}
	}
	r := releaseRecord{Name: p.Name, Document: p.Document, Pins: pins, CreatedAt: now.UTC(), By: p.By}
	var err error
	r.Digest, err = releaseDigest(r)
	return r, err
}

func comparePins(a, b Pin) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.Ref, b.Ref))
}

func checkPin(p Pin) error {
	switch p.Kind {
	case KindModel, KindPlugin, KindGraph:
	default:
		return fmt.Errorf("%w: pin of kind %q", ErrInvalid, p.Kind)
	}
	if err := tenant.CheckName(p.Name); err != nil {
		return err
	}
	if p.Version < 1 || !p.Digest.Valid() {
		return fmt.Errorf("%w: pin of %s %s@%d with digest %q", ErrInvalid, p.Kind, p.Name, p.Version, p.Digest)
	}
	return nil
}

// releaseDigest covers what a release does: its name, its document and what its references mean.
func releaseDigest(r releaseRecord) (blob.Digest, error) {
	doc, err := json.Marshal(struct {
		Name     string `json:"name"`
		Document []byte `json:"document"`
		Pins     []Pin  `json:"pins"`
	}{r.Name, r.Document, r.Pins})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(doc)
	return blob.Digest("sha256:" + hex.EncodeToString(sum[:])), nil
}
