package control

import (
	"context"
	"sync"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// disk counts what tenants have on the disk, in objects and bytes, and refuses what would be more than they may have: what the catalog
// tells of, uploads that are not finished, what is on its way from one to the other, and blobs that were refused or deleted and are still
// there. So nobody gets around a limit by beginning much at once, or by pushing again and again what comes to nothing.
//
// Whoever begins, finishes or publishes something counts in its tenant's turn, and holds a claim from then on until the catalog tells of
// it. Things move from uploads to claims to the catalog, and are read in that order: what moves meanwhile is seen, and once.
type disk struct {
	catalog *catalog.Catalog
	blobs   Blobs

	mu       sync.Mutex // mu guards the following
	accounts map[tenant.ID]*account
	leaving  map[blob.Digest]chan struct{} // blobs that are being removed; closed afterwards
}

// account is what a tenant has beside what the catalog tells of. disk.mu guards all but turn.
type account struct {
	turn   chan struct{} // held while its use is counted and added to; capacity 1
	claims map[*claim]struct{}
	spares map[blob.Digest]*spare
}

// spare is a blob that perhaps nobody names yet, or any more.
type spare struct {
	size  int64     // bytes
	users int       // claims on it
	since time.Time // when one of them left it on the disk last; zero: it may not be there yet
}

// claim is something that is on its way into the catalog, or out of it.
type claim struct {
	disk    *disk
	tenant  tenant.ID
	name    catalog.ObjectName // zero for what goes
	bytes   int64              // of a release
	upload  string             // id of the upload that it finishes, "" for none
	digests []blob.Digest      // spares that it uses
}

func newDisk(c *catalog.Catalog, b Blobs) *disk {
	return &disk{catalog: c, blobs: b, accounts: map[tenant.ID]*account{}, leaving: map[blob.Digest]chan struct{}{}}
}

// accountLocked returns a tenant's account. d.mu is held.
func (d *disk) accountLocked(t tenant.ID) *account {
	a := d.accounts[t]
	if a == nil {
		a = &account{turn: make(chan struct{}, 1), claims: map[*claim]struct{}{}, spares: map[blob.Digest]*spare{}}
		d.accounts[t] = a
	}
	return a
}

// enter waits for the tenant's turn. The caller calls leave.
func (d *disk) enter(ctx context.Context, t tenant.ID) (leave func(), err error) {
	d.mu.Lock()
	turn := d.accountLocked(t).turn
	d.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin is Manager.BeginUpload.
func (d *disk) begin(ctx context.Context, p blob.UploadParams) (blob.Upload, error) {
	leave, err := d.enter(ctx, p.Owner)
	if err != nil {
		return blob.Upload{}, err
	}
	defer leave()
	same := func(u blob.Unfinished) bool { return u.UploadParams == p }
	if err := d.admit(ctx, p.Owner, addition{name: nameOf(p), bytes: p.Size, is: same}); err != nil {
		return blob.Upload{}, err
	}
	return d.blobs.Begin(ctx, p)
}

// finishing admits an upload once more, for what its tenant may have could be less by now, and claims what becomes of it. The caller ends
// the claim.
func (d *disk) finishing(ctx context.Context, u blob.Unfinished) (*claim, error) {
	leave, err := d.enter(ctx, u.Owner)
	if err != nil {
		return nil, err
	}
	defer leave()
	this := func(o blob.Unfinished) bool { return o.ID == u.ID }
	if err := d.admit(ctx, u.Owner, addition{name: nameOf(u.UploadParams), bytes: u.Size, digest: u.Digest, is: this}); err != nil {
		return nil, err
	}
	c := &claim{tenant: u.Owner, name: nameOf(u.UploadParams), upload: u.ID}
	for {
		if gone := d.claimUnlessLeaving(c, u.Digest, u.Size); gone != nil {
			select {
			case <-gone:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		return c, nil
	}
}

// claimUnlessLeaving makes a claim on one blob, or returns what is closed when that has been removed.
func (d *disk) claimUnlessLeaving(c *claim, digest blob.Digest, size int64) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if gone := d.leaving[digest]; gone != nil {
		return gone
	}
	d.claimLocked(c, map[blob.Digest]int64{digest: size})
	return nil
}

// publishing admits a release and claims its place. The caller ends the claim.
func (d *disk) publishing(ctx context.Context, t tenant.ID, p catalog.ReleaseParams) (*claim, error) {
	leave, err := d.enter(ctx, t)
	if err != nil {
		return nil, err
	}
	defer leave()
	bytes, err := d.catalog.Weigh(ctx, t, p)
	if err != nil {
		return nil, err
	}
	name := catalog.ObjectName{Kind: catalog.KindGraph, Name: p.Name}
	if err := d.admit(ctx, t, addition{name: name, bytes: bytes}); err != nil {
		return nil, err
	}
	c := &claim{tenant: t, name: name, bytes: bytes}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claimLocked(c, nil)
	return c, nil
}

// deleting claims blobs that their tenant is about to let go: they count until they are gone. The caller ends the claim.
func (d *disk) deleting(t tenant.ID, blobs map[blob.Digest]int64) *claim {
	c := &claim{tenant: t}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claimLocked(c, blobs)
	return c
}

func (d *disk) claimLocked(c *claim, blobs map[blob.Digest]int64) {
	c.disk = d
	a := d.accountLocked(c.tenant)
	a.claims[c] = struct{}{}
	for digest, size := range blobs {
		s := a.spares[digest]
		if s == nil {
			s = &spare{size: size}
			a.spares[digest] = s
		}
		s.users++
		c.digests = append(c.digests, digest)
	}
}

// end gives the claim up. stored tells whether its blobs are on the disk; they count until sweep finds them named, or removes them.
func (c *claim) end(stored bool) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	a := c.disk.accountLocked(c.tenant)
	delete(a.claims, c)
	for _, digest := range c.digests {
		s := a.spares[digest]
		s.users--
		if stored {
			s.since = time.Now()
		}
		if s.users == 0 && s.since.IsZero() {
			delete(a.spares, digest)
		}
	}
}
