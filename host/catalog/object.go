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

// Tags that move by themselves and cannot be set. Models and plugins have only Latest.
const (
	Latest    = "latest"   // the newest version, of a graph also one that is not current
	Current   = "current"  // the release that calls go to
	Previous  = "previous" // the release that a roll-back goes to
	CanaryTag = "canary"   // the release that gets a part of the calls
)

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
	// Signature and Options are opaque here.
	Signature json.RawMessage
	Options   json.RawMessage
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
	// Options are what the owner asks of those who run it. The same file with other options is another version.
	Options json.RawMessage
	Meta    map[string]string
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
	// By is the id of the key that published it, "" when that is not known.
	By string
	// The rest is as it was when the release was read. Current says whether it was the one that calls go to, Staged whether
	// it never was. Tags lists its tags, sorted, with [Latest] on the newest.
	Current bool
	Staged  bool
	Tags    []string
}

// ReleaseParams is a release to publish. Pins may be in any order and repeat; they must name versions that exist.
type ReleaseParams struct {
	Name     string
	Document []byte
	Pins     []Pin
	// By is the id of the key that publishes it.
	By string
	// Stage keeps the current release: the new one is called by its version, or once it is made the canary or the current
	// one. The first release of a graph is current in any case.
	Stage bool
}

// Graph is what a graph has: where its calls go, and its releases.
type Graph struct {
	Tenant tenant.ID
	Name   string
	// Revision grows with every change.
	Revision uint64
	// Current is the version that calls go to, Previous the one that a roll-back goes to, 0 for none.
	Current, Previous int
	// Canary gets a part of the calls; nil is none.
	Canary *Canary
	// Tags has the version of every tag, also of those that move by themselves.
	Tags map[string]int
	// Releases are those that are kept, newest first, without documents and pins.
	Releases []Release
}

// Canary is a release that gets a part of the calls that go to no release by name.
type Canary struct {
	Version int `json:"version"`
	// Percent of the calls, above 0 and at most 100.
	Percent float64 `json:"percent"`
	// Sticky is an expression over the graph's inputs, opaque here: calls with an equal value go to the same release. ""
	// draws anew for each call.
	Sticky    string    `json:"sticky,omitempty"`
	StartedAt time.Time `json:"started_at"`
}

// Removed tells of a deletion.
type Removed struct {
	// Versions that are gone, ascending, and the tags that went with them, sorted.
	Versions []int
	Tags     []string
}

// Page asks for part of a list.
type Page struct {
	// Size is the most entries to return. Default 100, at most 1000.
	Size int
	// Token continues an earlier list; "" starts.
	Token string
	// Only, when set, leaves out the names for which it is false; tokens tell nothing of them. It is called without locks.
	Only func(name string) bool
}
