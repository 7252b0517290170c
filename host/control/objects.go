package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/runners"
)

// Kinds under which uploads are begun; an upload that was begun as one is not found as the other.
const (
	UploadModel  = "model"
	UploadPlugin = "plugin"
)

// Keys of a model's meta data in the catalog.
const (
	MetaProducer  = "producer"
	MetaOpset     = "opset"
	MetaPlacement = "placement" // where it ran when it was pushed
	MetaWarmUp    = "warm_up"   // what its warm-up noted when it was pushed
)

// BeginUpload starts an upload, or returns the unfinished one of the same owner, kind, name, digest and size. Errors are those of
// blob.Uploader's Begin, and a *tenant.QuotaError for what would give its owner more objects or bytes on the disk than its limits allow.
func (m *Manager) BeginUpload(ctx context.Context, p blob.UploadParams) (blob.Upload, error) {
	return m.disk.begin(ctx, p)
}

// AddModel finishes an upload and makes it a version of the model that it was begun for, to be served as its owner says, after it
// has been loaded, warmed and measured once. Errors are those of the blob store, the runner (runners.ErrModel,
// runners.ErrUnavailable), the catalog, ErrServing, and a *tenant.QuotaError.
func (m *Manager) AddModel(ctx context.Context, t tenant.ID, upload string, serving Serving) (catalog.Model, error) {
	f, err := m.finish(ctx, t, UploadModel, upload)
	if err != nil {
		return catalog.Model{}, err
	}
	defer f.close()
	name, b := f.name, f.blob
	if err := m.cfg.Models.Check(b.Bytes()); err != nil {
		return catalog.Model{}, err
	}
	options, err := serving.document()
	if err != nil {
		return catalog.Model{}, fmt.Errorf("model %s: %w", name, err)
	}
	r := m.life.resident(modelKey{t, b.Digest(), string(options)}, name, b.Size(), serving)
	err = r.ensure(ctx)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return catalog.Model{}, err
	}
	sig, err := json.Marshal(r.signature)
	if err != nil {
		return catalog.Model{}, fmt.Errorf("model %s: %w", name, err)
	}
	return m.cfg.Catalog.PutModel(ctx, t, catalog.ModelParams{
		Name: name, Digest: b.Digest(), Size: b.Size(), Signature: sig, Options: options,
		Meta: map[string]string{
			MetaProducer: r.info.Producer, MetaOpset: fmt.Sprint(r.info.Opset), MetaPlacement: r.info.Placement, MetaWarmUp: r.note,
		},
	})
}

// AddPlugin finishes an upload and makes it a version of the plugin that it was begun for, after the sandbox has admitted it and asked it
// for its description, which is a call of the tenant's: its fuel and its memory. Errors are those of the blob store, the catalog,
// *sandbox.RejectError, *tenant.QuotaError, and a *sandbox.CallError of KindQuota.
func (m *Manager) AddPlugin(ctx context.Context, t tenant.ID, upload string) (catalog.Plugin, error) {
	f, err := m.finish(ctx, t, UploadPlugin, upload)
	if err != nil {
		return catalog.Plugin{}, err
	}
	defer f.close()
	name, b := f.name, f.blob
	of := m.loading(ctx, t)
	of.First = true
	p, err := m.cfg.Sandbox.LoadFor(ctx, of, b.Bytes())
	if err != nil {
		return catalog.Plugin{}, err
	}
	desc, err := json.Marshal(p.Description())
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return catalog.Plugin{}, fmt.Errorf("plugin %s: %w", name, err)
	}
	return m.cfg.Catalog.PutPlugin(ctx, t, catalog.PluginParams{Name: name, Digest: b.Digest(), Size: b.Size(), Description: desc})
}

// finished is an upload that has become a blob and is about to become a version of something.
type finished struct {
	name  string
	blob  *blob.Blob
	claim *claim
}

func (f finished) close() {
	_ = f.blob.Close() // nothing was written
	f.claim.end(true)
}

// finish makes an upload of one kind a blob and opens it. The caller closes what it returns once the catalog tells of it, or never will.
func (m *Manager) finish(ctx context.Context, t tenant.ID, kind, upload string) (finished, error) {
	p, err := m.cfg.Blobs.Params(ctx, t, upload)
	if err != nil {
		return finished{}, err
	}
	if p.Kind != kind {
		return finished{}, fmt.Errorf("upload %s: %w", upload, blob.ErrNotFound)
	}
	c, err := m.disk.finishing(ctx, blob.Unfinished{ID: upload, UploadParams: p})
	if err != nil {
		return finished{}, err
	}
	d, err := m.cfg.Blobs.Finish(ctx, t, upload)
	if err != nil {
		c.end(false)
		return finished{}, err
	}
	b, err := m.cfg.Blobs.Open(ctx, d)
	if err != nil {
		c.end(true)
		return finished{}, err
	}
	return finished{p.Name, b, c}, nil
}

// DeleteModel is the catalog's; what it removes counts as its tenant's until it is gone from the disk.
func (m *Manager) DeleteModel(ctx context.Context, t tenant.ID, name, ref string) (catalog.Removed, error) {
	vs, err := m.cfg.Catalog.ModelVersions(ctx, t, name)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return catalog.Removed{}, err
	}
	defer m.disk.deleting(t, blobsOf(vs, func(v *catalog.Model) *catalog.Object { return &v.Object })).end(true)
	return m.cfg.Catalog.DeleteModel(ctx, t, name, ref)
}

// DeletePlugin is the catalog's; what it removes counts as its tenant's until it is gone from the disk.
func (m *Manager) DeletePlugin(ctx context.Context, t tenant.ID, name, ref string) (catalog.Removed, error) {
	vs, err := m.cfg.Catalog.PluginVersions(ctx, t, name)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return catalog.Removed{}, err
	}
	defer m.disk.deleting(t, blobsOf(vs, func(v *catalog.Plugin) *catalog.Object { return &v.Object })).end(true)
	return m.cfg.Catalog.DeletePlugin(ctx, t, name, ref)
}

// blobsOf returns the sizes of the blobs of versions, in bytes.
func blobsOf[V any](versions []V, object func(*V) *catalog.Object) map[blob.Digest]int64 {
	blobs := make(map[blob.Digest]int64, len(versions))
	for i := range versions {
		o := object(&versions[i])
		blobs[o.Digest] = o.Size
	}
	return blobs
}

// Signature returns the signature that AddModel stored with a model.
func Signature(mod catalog.Model) (runners.Signature, error) {
	var sig runners.Signature
	if err := json.Unmarshal(mod.Signature, &sig); err != nil {
		return sig, fmt.Errorf("signature of model %s@%d: %w", mod.Name, mod.Version, err)
	}
	return sig, nil
}
