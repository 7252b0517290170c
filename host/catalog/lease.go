package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-serve/tandem/host/tenant"
)

// Publishing a graph must not race with deleting what the graph pins, although the two change different records. So the
// publisher first writes a lease into the record of everything it pins, and gives up when it has not moved the graph on
// well before the lease ends. A deleter reads a record, waits while there is a lease in it, looks for live releases
// that pin it, and deletes by compare-and-set on the revision it had read. Then
//
//   - a lease written before the deleter's read is seen by it;
//   - one written between read and deletion makes the compare-and-set fail, and the deleter starts again;
//   - one that would come after the deletion finds nothing to pin, and the publisher gives up;
//   - a publisher whose lease has ended, because it is done or died, has moved the graph on before the deleter looked, or
//     never will.
//
// A release that is live already needs no lease to become the current one, since nobody can delete what it pins: moving
// to it is one write.
//
// Between processes on one external store this takes clocks that differ by less than leaseMargin.
const (
	leaseTime   = 60 * time.Second
	leaseMargin = 20 * time.Second
)

// leases has the end of each publisher's lease. It is part of a record.
type leases map[string]time.Time

// held reports whether a lease has not ended, and forgets those that have.
func (l leases) held(now time.Time) bool {
	for id, end := range l {
		if !now.Before(end) {
			delete(l, id)
		}
	}
	return len(l) > 0
}

// leasable is a record that can be pinned: *aggregate and *pointer.
type leasable interface {
	// pinnable returns [ErrNotFound] unless the record has the version with the digest.
	pinnable(p Pin) error
	leases() *leases
}

// lease writes a lease of that id into the records of all pins and returns the moment by which the publisher must be
// done. The caller calls unlease in any case.
func (c *Catalog) lease(ctx context.Context, t tenant.ID, id string, pins []Pin) (time.Time, error) {
	start := c.cfg.Now()
	for _, group := range groupPins(pins) {
		if err := c.leaseOne(ctx, t, id, start.Add(leaseTime), group); err != nil {
			return time.Time{}, err
		}
	}
	return start.Add(leaseTime - leaseMargin), nil
}

func (c *Catalog) leaseOne(ctx context.Context, t tenant.ID, id string, end time.Time, pins []Pin) error {
	key, err := objectKey(pins[0].Kind, t, pins[0].Name)
	if err != nil {
		return err
	}
	take := func(r leasable) error {
		for _, p := range pins {
			if err := r.pinnable(p); err != nil {
				return fmt.Errorf("%s %s@%d: %w", p.Kind, p.Name, p.Version, err)
			}
		}
		l := r.leases()
		l.held(c.cfg.Now())
		if *l == nil {
			*l = make(leases)
		}
		(*l)[id] = end
		return nil
	}
	return c.updateLeasable(ctx, pins[0].Kind, key, take)
}

// unlease removes the leases again. What it cannot remove ends by itself.
func (c *Catalog) unlease(ctx context.Context, t tenant.ID, id string, pins []Pin) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	drop := func(r leasable) error {
		l := r.leases()
		if _, ok := (*l)[id]; !ok {
			return errUnchanged
		}
		delete(*l, id)
		return nil
	}
	for _, group := range groupPins(pins) {
		key, err := objectKey(group[0].Kind, t, group[0].Name)
		if err == nil {
			err = c.updateLeasable(ctx, group[0].Kind, key, drop)
		}
		if errors.Is(err, ErrClosed) || errors.Is(err, ErrUnavailable) {
			return
		}
	}
}

func (c *Catalog) updateLeasable(ctx context.Context, kind Kind, key string, change func(leasable) error) error {
	var err error
	if kind == KindGraph {
		_, _, err = update(ctx, c.bucket, key, func(r *pointer) error { return change(r) })
	} else {
		_, _, err = update(ctx, c.bucket, key, func(r *aggregate) error { return change(r) })
	}
	return err
}

// groupPins splits sorted pins by kind and name.
func groupPins(pins []Pin) [][]Pin {
	var groups [][]Pin
	for i, p := range pins {
		if i == 0 || p.Kind != pins[i-1].Kind || p.Name != pins[i-1].Name {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], p)
	}
	return groups
}

// checkUnused returns an [*InUseError] when live releases of the tenant's graphs pin the object, or with version not 0
// that version of it. A graph's own pins of itself do not count.
func (c *Catalog) checkUnused(ctx context.Context, kind Kind, t tenant.ID, name string, version int) error {
	var by []string
	for p, err := range scan[pointer](ctx, c.bucket, string(KindGraph)+"."+string(t)+".>") {
		if err != nil {
			return err
		}
		_, _, graph := splitKey(p.key)
		if kind == KindGraph && graph == name {
			continue
		}
		for user, pins := range p.value.pinned() {
			if slices.ContainsFunc(pins, func(pin Pin) bool {
				return pin.Kind == kind && pin.Name == name && (version == 0 || pin.Version == version)
			}) {
				by = append(by, fmt.Sprintf("%s@%d", graph, user))
			}
		}
	}
	if len(by) > 0 {
		return newInUse(kind, name, by)
	}
	return nil
}
