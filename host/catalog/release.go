package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// pointer is the record of a graph: which release is the current one, and which there are. One without releases is a
// deleted graph; it stays, so that version numbers are not used twice.
type pointer struct {
	// Last is the newest version number ever given.
	Last int `json:"last"`
	// Current is the version that calls go to.
	Current int `json:"current,omitempty"`
	// Pins are those of the current release, here so that finding out what is in use takes no second read.
	Pins []Pin `json:"pins,omitempty"`
	// Releases are in ascending order of their versions.
	Releases []releaseHead `json:"releases,omitempty"`
	Leases   leases        `json:"leases,omitempty"`
}

// releaseHead names a release record. The record's key has a random id, so that two publishers never write the same one.
type releaseHead struct {
	Version   int         `json:"version"`
	ID        string      `json:"id"`
	Digest    blob.Digest `json:"digest"`
	CreatedAt time.Time   `json:"created_at"`
}

// releaseRecord is an immutable release. Its version is in the head only: it is given when the graph moves on to it.
type releaseRecord struct {
	Name      string      `json:"name"`
	Document  []byte      `json:"document"`
	Pins      []Pin       `json:"pins,omitempty"`
	Digest    blob.Digest `json:"digest"`
	CreatedAt time.Time   `json:"created_at"`
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
	number := r.version
	if r == (reference{}) {
		number = p.Current
	}
	for i, h := range slices.Backward(p.Releases) {
		newest := r.tag == Latest && i == len(p.Releases)-1
		if h.Version == number || h.Digest == r.digest || newest {
			return h, nil
		}
	}
	return releaseHead{}, ErrNotFound
}

// moveTo makes a release the current one.
func (p *pointer) moveTo(h releaseHead, pins []Pin) { p.Current, p.Pins = h.Version, pins }

// add appends a release with the next version number and makes it the current one.
func (p *pointer) add(h releaseHead, pins []Pin) releaseHead {
	p.Last++
	h.Version = p.Last
	p.Releases = append(p.Releases, h)
	p.moveTo(h, pins)
	return h
}

// trim removes the oldest releases over the limit, but none that is current or in keep, and returns what it removed.
func (p *pointer) trim(keep map[int]bool) []releaseHead {
	over := len(p.Releases) - maxReleases
	var gone []releaseHead
	p.Releases = slices.DeleteFunc(p.Releases, func(h releaseHead) bool {
		if len(gone) >= over || keep[h.Version] || h.Version == p.Current {
			return false
		}
		gone = append(gone, h)
		return true
	})
	return gone
}

func (h releaseHead) release(t tenant.ID, name string, p *pointer) Release {
	return Release{
		Tenant: t, Name: name, Version: h.Version, Digest: h.Digest, CreatedAt: h.CreatedAt, Current: h.Version == p.Current,
	}
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
	r := releaseRecord{Name: p.Name, Document: p.Document, Pins: pins, CreatedAt: now.UTC()}
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
