package catalog

import (
	"encoding/json"
	"time"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/tenant"
)

// Kind is a kind of object.
type Kind string

// The kinds.
const (
	KindModel  Kind = "model"
	KindPlugin Kind = "plugin"
	KindGraph  Kind = "graph"
)

// Latest is the tag that always means the newest version. It cannot be set.
const Latest = "latest"

// Object is what a version of a model and one of a plugin have in common. It is immutable but for Tags.
type Object struct {
	Tenant tenant.ID
	Name   string
	// Version is assigned by the catalog, from 1, and never reused for other content under the same name.
	Version int
	Digest  blob.Digest
	// Size is the blob's, in bytes.
	Size      int64
	CreatedAt time.Time
	// Meta is the owner's, opaque here.
	Meta map[string]string
	// Tags lists the tags that point here now, sorted, with [Latest] on the newest version.
	Tags []string
}

// Model is one version of a model.
type Model struct {
	Object
	// Signature is opaque here.
	Signature json.RawMessage
}

// Plugin is one version of a plugin.
type Plugin struct {
	Object
	// Description is opaque here.
	Description json.RawMessage
}

// ModelParams is a model version to store. The blob must be stored already.
type ModelParams struct {
	Name      string
	Digest    blob.Digest
	Size      int64
	Signature json.RawMessage
	Meta      map[string]string
}

// PluginParams is a plugin version to store. The blob must be stored already.
type PluginParams struct {
	Name        string
	Digest      blob.Digest
	Size        int64
	Description json.RawMessage
	Meta        map[string]string
}

// Pin is a reference that has been resolved.
type Pin struct {
	Kind    Kind        `json:"kind"`
	Name    string      `json:"name"`
	Version int         `json:"version"`
	Digest  blob.Digest `json:"digest"`
	// Ref is the reference as the document has it, such as "prod"; "" for the newest.
	Ref string `json:"ref,omitempty"`
}

// Release is one published release of a graph. It is immutable.
type Release struct {
	Tenant tenant.ID
	// Name is the graph's.
	Name string
	// Version is assigned by the catalog, from 1, and never reused under the same name.
	Version int
	// Document is the graph's source, as it was sent.
	Document []byte
	// Pins are all that it refers to, also through graphs that it calls, sorted by kind, name and version.
	Pins []Pin
	// Digest covers Name, Document and Pins.
	Digest    blob.Digest
	CreatedAt time.Time
	// Current says whether it was the one that calls go to when it was read.
	Current bool
}

// ReleaseParams is a release to publish. Pins may be in any order and repeat; they must name versions that exist.
type ReleaseParams struct {
	Name     string
	Document []byte
	Pins     []Pin
}

// Page asks for part of a list.
type Page struct {
	// Size is the most entries to return. Default 100, at most 1000.
	Size int
	// Token continues an earlier list; "" starts.
	Token string
}
