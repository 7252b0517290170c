package control

import (
	"context"
	"encoding/json"
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

// AddModel finishes an upload and makes it a version of the model that it was begun for, to be served as its owner says, after it
// has been loaded, warmed and measured once. Errors are those of the blob store, the runner (runners.ErrModel,
// runners.ErrUnavailable), the catalog, and ErrServing.
func (m *Manager) AddModel(ctx context.Context, t tenant.ID, upload string, serving Serving) (catalog.Model, error) {
	name, b, err := m.finish(ctx, t, UploadModel, upload)
	if err != nil {
		return catalog.Model{}, err
	}
	defer func() { _ = b.Close() }() // nothing was written
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
// for its description. Errors are those of the blob store, the catalog, and *sandbox.RejectError.
func (m *Manager) AddPlugin(ctx context.Context, t tenant.ID, upload string) (catalog.Plugin, error) {
	name, b, err := m.finish(ctx, t, UploadPlugin, upload)
	if err != nil {
		return catalog.Plugin{}, err
	}
	defer func() { _ = b.Close() }() // nothing was written
	p, err := m.cfg.Sandbox.Load(ctx, b.Bytes())
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

// finish makes an upload of one kind a blob and opens it.
func (m *Manager) finish(ctx context.Context, t tenant.ID, kind, upload string) (name string, b *blob.Blob, err error) {
	p, err := m.cfg.Blobs.Params(ctx, t, upload)
	if err != nil {
		return "", nil, err
	}
	if p.Kind != kind {
		return "", nil, fmt.Errorf("upload %s: %w", upload, blob.ErrNotFound)
	}
	d, err := m.cfg.Blobs.Finish(ctx, t, upload)
	if err != nil {
		return "", nil, err
	}
	b, err = m.cfg.Blobs.Open(ctx, d)
	return p.Name, b, err
}

// Signature returns the signature that AddModel stored with a model.
func Signature(mod catalog.Model) (runners.Signature, error) {
	var sig runners.Signature
	if err := json.Unmarshal(mod.Signature, &sig); err != nil {
		return sig, fmt.Errorf("signature of model %s@%d: %w", mod.Name, mod.Version, err)
	}
	return sig, nil
}
