package control_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
)

func digestOf(data []byte) blob.Digest {
	sum := sha256.Sum256(data)
	return blob.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func (h *house) limit(t *testing.T, l tenant.Limits) {
	t.Helper()
	if _, _, err := h.SetLimits(t.Context(), acme, l); err != nil {
		t.Fatal(err)
	}
}

// begin starts an upload of a model as a caller does.
func (h *house) begin(t *testing.T, ten tenant.ID, name string, data []byte) (string, error) {
	t.Helper()
	up, err := h.BeginUpload(t.Context(), blob.UploadParams{
		Owner: ten, Kind: control.UploadModel, Name: name, Size: int64(len(data)), Digest: digestOf(data),
	})
	return up.ID, err
}

// send begins an upload and sends all of it.
func (h *house) send(t *testing.T, ten tenant.ID, name string, data []byte) (string, error) {
	t.Helper()
	id, err := h.begin(t, ten, name, data)
	if err == nil {
		_, err = h.blobs.Append(t.Context(), ten, id, 0, data, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
	}
	return id, err
}

// push does all that it takes to have a model.
func (h *house) push(t *testing.T, ten tenant.ID, name string, data []byte, serving control.Serving) error {
	t.Helper()
	id, err := h.send(t, ten, name, data)
	if err == nil {
		_, err = h.AddModel(t.Context(), ten, id, serving)
	}
	return err
}

// use returns what acme has, which must not be less than what lies on the disk; nobody else may have something.
func (h *house) use(t *testing.T) control.DiskUse {
	t.Helper()
	use, err := h.DiskUse(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	var stored int64
	for info, err := range h.blobs.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		stored += info.Size
	}
	if stored > use.Bytes {
		t.Errorf("%d bytes lie on the disk, %d are counted", stored, use.Bytes)
	}
	return use
}

func wantQuota(t *testing.T, err error, quota string, limit, use, need int64) {
	t.Helper()
	var q *tenant.QuotaError
	if !errors.As(err, &q) || q.Quota != quota || q.Limit != limit || q.Use != use || q.Need != need || q.RetryAfterSeconds <= 0 || q.Advice == "" {
		t.Errorf("got %+v (%v), want quota %s of %d, %d in use, %d wanted, a hint and advice", q, err, quota, limit, use, need)
	}
}

// What was refused or deleted counts as long as it lies on the disk, so that pushing such things again and again stays within the limit,
// and it goes soon.
func TestRefusedAndDeletedBytesCount(t *testing.T) {
	for name, once := range map[string]func(h *house, i int) error{
		"refused": func(h *house, i int) error {
			err := h.push(t, acme, "m", []byte(fmt.Sprintf("bad model %03d", i)+strings.Repeat("x", 987)), control.Serving{})
			if errors.Is(err, runners.ErrModel) {
				return nil
			}
			return err
		},
		"does not load": func(h *house, i int) error {
			err := h.push(t, acme, "m", []byte(fmt.Sprintf("unloadable %02d", i)+strings.Repeat("x", 987)), control.Serving{})
			if errors.Is(err, runners.ErrModel) {
				return nil
			}
			return err
		},
		"deleted": func(h *house, i int) error {
			if err := h.push(t, acme, "m", []byte(fmt.Sprintf("model %07d", i)+strings.Repeat("x", 987)), control.Serving{}); err != nil {
				return err
			}
			_, err := h.DeleteModel(t.Context(), acme, "m", "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 0)
			h.limit(t, tenant.Limits{BlobBytes: 2500})
			for round := range 3 {
				for i := range 2 {
					if err := once(h, 10*round+i); err != nil {
						t.Fatal(err)
					}
				}
				if got := h.use(t); got != (control.DiskUse{Bytes: 2000}) {
					t.Errorf("got %+v, want 2000 bytes and no object", got)
				}
				for i := range 3 {
					wantQuota(t, once(h, 10*round+5+i), "blob_bytes", 2500, 2000, 1000)
				}
				if err := h.SweepSpares(t.Context(), time.Now().Add(-time.Hour)); err != nil || h.use(t).Bytes != 2000 {
					t.Errorf("too early: %+v, %v", h.use(t), err)
				}
				if err := h.SweepSpares(t.Context(), time.Now()); err != nil || h.use(t) != (control.DiskUse{}) {
					t.Errorf("afterwards: %+v, %v", h.use(t), err)
				}
				for info := range h.blobs.All(t.Context()) {
					t.Errorf("%s is still there", info.Digest)
				}
			}
		})
	}
}

// What is deleted long after it was pushed counts until it is gone too, and what somebody still names stays.
func TestDeletedLaterCounts(t *testing.T) {
	h := newHouse(t, 0)
	for _, content := range []string{"model one", "model two"} {
		if err := h.push(t, acme, "m", []byte(content), control.Serving{}); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func() {
		t.Helper()
		if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
	}
	sweep()
	for _, step := range []struct {
		ref    string
		before control.DiskUse
		after  control.DiskUse
	}{
		{"1", control.DiskUse{Objects: 1, Bytes: 18}, control.DiskUse{Objects: 1, Bytes: 9}},
		{"", control.DiskUse{Bytes: 9}, control.DiskUse{}},
	} {
		if _, err := h.DeleteModel(t.Context(), acme, "m", step.ref); err != nil {
			t.Fatal(err)
		}
		if got := h.use(t); got != step.before {
			t.Errorf("%q: got %+v, want %+v", step.ref, got, step.before)
		}
		sweep()
		if got := h.use(t); got != step.after {
			t.Errorf("%q, swept: got %+v, want %+v", step.ref, got, step.after)
		}
	}
}

// What a server before this one refused is removed as well, and nothing else.
func TestSparesOfAServerBefore(t *testing.T) {
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		h := newHouseIn(t, dir, control.Config{})
		if err := h.push(t, acme, "m", []byte("bad model"), control.Serving{}); !errors.Is(err, runners.ErrModel) {
			t.Fatal(err)
		}
		if err := h.push(t, acme, "m", []byte("model"), control.Serving{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("after", func(t *testing.T) {
		h := newHouseIn(t, dir, control.Config{})
		if err := h.AdoptSpares(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := h.use(t); got != (control.DiskUse{Objects: 1, Bytes: 5}) {
			t.Errorf("got %+v, want the model", got)
		}
		if _, err := h.blobs.Stat(t.Context(), digestOf([]byte("bad model"))); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	})
}

// A push that was refused may be finished once more, with other options, while its bytes are there, and not when they are gone.
func TestRefusedPushIsFinishedAgain(t *testing.T) {
	h := newHouse(t, 0)
	id, err := h.send(t, acme, "m", []byte("model"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddModel(t.Context(), acme, id, control.Serving{MaxRows: -1}); !errors.Is(err, control.ErrServing) {
		t.Errorf("got %v, want ErrServing", err)
	}
	if _, err := h.AddModel(t.Context(), acme, id, control.Serving{}); err != nil {
		t.Error(err)
	}
	if _, err := h.DeleteModel(t.Context(), acme, "m", ""); err != nil {
		t.Error(err)
	}
	if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := h.AddModel(t.Context(), acme, id, control.Serving{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if got := h.use(t); got != (control.DiskUse{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

// One tenant's refused pushes and deletions never take the bytes from another that pushes the same ones meanwhile.
func TestSweepTakesNothingFromOthers(t *testing.T) {
	h := newHouse(t, 0)
	data := []byte("the same model")
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	var hammer sync.WaitGroup
	stop := make(chan struct{})
	hammer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		}
	})
	hammer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := h.push(t, acme, "m", data, control.Serving{MaxRows: -1}); !errors.Is(err, control.ErrServing) {
				t.Error(err)
			}
		}
	})
	for range rounds {
		if err := h.push(t, other, "m", data, control.Serving{}); err != nil {
			t.Error(err)
			continue
		}
		if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
		if _, err := h.blobs.Stat(t.Context(), digestOf(data)); err != nil {
			t.Errorf("the other tenant's model has lost its file: %v", err)
		}
		if _, err := h.DeleteModel(t.Context(), other, "m", ""); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	hammer.Wait()
}

// Uploads that are not finished count as objects, however many begin at once, and what has become too much meanwhile is not finished.
func TestUnfinishedUploadsAreObjects(t *testing.T) {
	h := newHouse(t, 0)
	h.limit(t, tenant.Limits{Objects: 1})
	var begins sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		begins.Go(func() {
			id, err := h.begin(t, acme, fmt.Sprintf("m%d", i), []byte("model"))
			if err != nil {
				wantQuota(t, err, "objects", 1, 1, 1)
				return
			}
			ids[i] = id
		})
	}
	begins.Wait()
	first := ""
	for i, id := range ids {
		if id == "" {
			continue
		}
		if first != "" {
			t.Error("two uploads began")
		}
		first = fmt.Sprintf("m%d", i)
	}
	id, err := h.send(t, acme, first, []byte("model")) // it goes on where it was
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.AddModel(t.Context(), acme, id, control.Serving{}); err != nil {
		t.Error(err)
	}
	id, err = h.send(t, acme, first, []byte("another version"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.DeleteModel(t.Context(), acme, first, ""); err != nil {
		t.Error(err)
	}
	_, _, err = h.Publish(t.Context(), acme, control.PublishParams{Document: empty("g", "")})
	wantQuota(t, err, "objects", 1, 1, 1)
	h.limit(t, tenant.Limits{BlobBytes: 10})
	_, err = h.AddModel(t.Context(), acme, id, control.Serving{})
	wantQuota(t, err, "blob_bytes", 10, 5, 15)
	h.limit(t, tenant.Limits{})
	if _, err := h.AddModel(t.Context(), acme, id, control.Serving{}); err != nil {
		t.Error(err)
	}
}

// empty is a graph of no nodes, which doc makes larger.
func empty(name, doc string) []byte {
	return fmt.Appendf(nil, "graph: %s\ndoc: %q\ninputs: {x: text}\noutputs: {y: {from: x}}\n", name, doc)
}

// Between its last chunk and its place in the catalog an upload counts, once.
func TestFinishingUploadsCount(t *testing.T) {
	h := newHouse(t, 0)
	h.limit(t, tenant.Limits{BlobBytes: 1500, Objects: 1})
	data := []byte("model" + strings.Repeat("x", 995))
	id, err := h.send(t, acme, "m", data)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	h.models.gate.Store(g)
	done := make(chan error, 1)
	go func() {
		_, err := h.AddModel(t.Context(), acme, id, control.Serving{})
		done <- err
	}()
	<-g.arrived // the upload is finished, the model is being loaded
	h.models.gate.Store(nil)
	want := control.DiskUse{Objects: 1, Bytes: 1000}
	if got := h.use(t); got != want {
		t.Errorf("while it loads: got %+v, want %+v", got, want)
	}
	_, err = h.begin(t, acme, "m", []byte(strings.Repeat("y", 501)))
	wantQuota(t, err, "blob_bytes", 1500, 1000, 501)
	_, err = h.begin(t, acme, "n", []byte("y"))
	wantQuota(t, err, "objects", 1, 1, 1)
	close(g.open)
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range 2 {
		if got := h.use(t); got != want {
			t.Errorf("afterwards: got %+v, want %+v", got, want)
		}
		if err := h.SweepSpares(t.Context(), time.Now()); err != nil {
			t.Error(err)
		}
	}
}

// An upload that is taken up again at the limit is the same upload.
func TestResumedUploadCountsOnce(t *testing.T) {
	h := newHouse(t, 0)
	h.limit(t, tenant.Limits{BlobBytes: 1000, Objects: 1})
	data := []byte(strings.Repeat("m", 900))
	first, err := h.begin(t, acme, "m", data)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := h.begin(t, acme, "m", data); err != nil || again != first {
		t.Errorf("got upload %s, %v, want %s", again, err, first)
	}
}

// Documents count, all releases of them, until their graph is deleted; what is published already does not count again, and what is being
// published at once is counted together.
func TestReleasesCount(t *testing.T) {
	h := newHouse(t, 0)
	publish := func(name string, size int) error {
		_, _, err := h.Publish(t.Context(), acme, control.PublishParams{Document: empty(name, strings.Repeat("d", size))})
		return err
	}
	const limit = 100 << 10
	h.limit(t, tenant.Limits{BlobBytes: limit})
	refused := 0
	for i := range 20 {
		if err := publish("g", 10<<10+i); errors.Is(err, tenant.ErrQuota) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if got := h.use(t); refused < 10 || got.Objects != 1 || got.Bytes > limit || got.Bytes < limit/2 {
		t.Errorf("%d of 20 are refused, %+v are in use", refused, got)
	}
	if err := publish("g", 10<<10+19-refused); err != nil {
		t.Errorf("what is current already: %v", err)
	}
	if _, err := h.DeleteGraph(t.Context(), acme, "g", ""); err != nil {
		t.Fatal(err)
	}
	if got := h.use(t); got != (control.DiskUse{}) {
		t.Errorf("after the deletion: %+v", got)
	}
	h.limit(t, tenant.Limits{BlobBytes: limit, Objects: 3})
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			if err := publish(fmt.Sprintf("g%d", i), 30<<10); err != nil && !errors.Is(err, tenant.ErrQuota) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := h.use(t); got.Objects == 0 || got.Objects > 3 || got.Bytes > limit {
		t.Errorf("published at once: %+v", got)
	}
	if _, err := h.catalog.GetGraph(t.Context(), acme, "g", ""); !errors.Is(err, catalog.ErrNotFound) {
		t.Error(err)
	}
}
