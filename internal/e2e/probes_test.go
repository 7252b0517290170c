package e2e

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// probe asks one method for things by their names. What it asks for belongings that are there, it asks for those that are not in the
// same way, as many times and in the same order.
type probe struct {
	method string // Service/Method
	ask    func(b belongings) []proto.Message
	kind   probeKind
}

type probeKind int

const (
	// byName is a call that names things; any of its texts may be another name.
	byName probeKind = iota
	// asIs is a call that names things and that leaves something behind each time.
	asIs
	// listing is a call that names nothing: who owns things is shown some.
	listing
	// operatorOnly is a call that only an admin of the server may make: who owns things is refused like everybody else.
	operatorOnly
)

// probes returns what asks every method about every kind of object that it has to do with, in an order in which one after another may
// be asked by who owns them: what reads comes first, what removes comes last.
func probes() []probe {
	all := [][]probe{listings(), readings(), graphProbes(), inferences(), uploads(), changes(), tenantProbes()}
	var out []probe
	for _, some := range all {
		out = append(out, some...)
	}
	return out
}

func one(m proto.Message) []proto.Message { return []proto.Message{m} }

// each makes a message of every text.
func each(texts []string, ask func(text string) proto.Message) []proto.Message {
	out := make([]proto.Message, len(texts))
	for i, text := range texts {
		out[i] = ask(text)
	}
	return out
}

// refs returns the ways to refer to something that has a digest.
func (b belongings) refs(name, digest string) []string {
	return []string{name, name + "@1", name + "@2", name + "@latest", name + "@" + b.tag, name + "@" + digest}
}

func (b belongings) modelRefs() []string  { return b.refs(b.model, b.modelDigest) }
func (b belongings) pluginRefs() []string { return b.refs(b.plugin, b.pluginDigest) }
func (b belongings) graphRefs() []string  { return b.refs(b.graph, b.graphDigest) }

func listings() []probe {
	always := func(m proto.Message) func(belongings) []proto.Message {
		return func(belongings) []proto.Message { return one(m) }
	}
	return []probe{
		{"ServerService/GetServerInfo", always(&tandemv1.GetServerInfoRequest{}), listing},
		{"ServerService/GetPlan", always(&tandemv1.GetPlanRequest{}), listing},
		{"ModelService/ListModels", always(&tandemv1.ListModelsRequest{}), listing},
		{"PluginService/ListPlugins", always(&tandemv1.ListPluginsRequest{}), listing},
		{"GraphService/ListGraphs", always(&tandemv1.ListGraphsRequest{}), listing},
		{"RecordService/ListRecords", always(&tandemv1.ListRecordsRequest{}), listing},
		{"TenantService/GetTenant", always(&tandemv1.GetTenantRequest{}), listing},
		{"TenantService/ListKeys", always(&tandemv1.ListKeysRequest{}), listing},
		{"TenantService/ListChanges", always(&tandemv1.ListChangesRequest{PageSize: 1000}), listing},
		{"TenantService/ListTenants", always(&tandemv1.ListTenantsRequest{}), operatorOnly},
	}
}

func readings() []probe {
	long := timestamppb.New(timestampOfOld)
	out := []probe{
		{"ModelService/GetModel", func(b belongings) []proto.Message {
			return each(b.modelRefs(), func(ref string) proto.Message { return &tandemv1.GetModelRequest{Name: ref} })
		}, byName},
		{"ModelService/ListModels", func(b belongings) []proto.Message {
			return []proto.Message{&tandemv1.ListModelsRequest{VersionsOf: b.model}, &tandemv1.ListModelsRequest{PageSize: 1, PageToken: pageOf(b.model)}}
		}, byName},
		{"PluginService/GetPlugin", func(b belongings) []proto.Message {
			return each(b.pluginRefs(), func(ref string) proto.Message { return &tandemv1.GetPluginRequest{Name: ref} })
		}, byName},
		{"PluginService/ListPlugins", func(b belongings) []proto.Message {
			return []proto.Message{&tandemv1.ListPluginsRequest{VersionsOf: b.plugin}, &tandemv1.ListPluginsRequest{PageSize: 1, PageToken: pageOf(b.plugin)}}
		}, byName},
		{"GraphService/GetGraph", func(b belongings) []proto.Message {
			return each(b.graphRefs(), func(ref string) proto.Message {
				return &tandemv1.GetGraphRequest{Name: ref, Form: tandemv1.GraphForm_GRAPH_FORM_PROTO}
			})
		}, byName},
		{"GraphService/ListGraphs", func(b belongings) []proto.Message {
			return one(&tandemv1.ListGraphsRequest{PageSize: 1, PageToken: pageOf(b.graph)})
		}, byName},
		{"ReleaseService/ListReleases", func(b belongings) []proto.Message {
			return one(&tandemv1.ListReleasesRequest{Graph: b.graph, Limit: 5})
		}, byName},
		{"ReleaseService/GetRelease", func(b belongings) []proto.Message {
			return each(append(b.graphRefs(), b.graph+"@3"), func(ref string) proto.Message { return &tandemv1.GetReleaseRequest{Name: ref} })
		}, byName},
		{"ReleaseService/DiffReleases", func(b belongings) []proto.Message {
			return each([]string{"2", "3", b.tag, b.graphDigest}, func(to string) proto.Message {
				return &tandemv1.DiffReleasesRequest{Graph: b.graph, From: "1", To: to}
			})
		}, byName},
		{"RecordService/ListRecords", func(b belongings) []proto.Message {
			return one(&tandemv1.ListRecordsRequest{Stream: b.stream, Since: long})
		}, byName},
		{"RecordService/ListRecords", func(b belongings) []proto.Message { return one(&tandemv1.ListRecordsRequest{Graph: b.graph}) }, byName},
		{"RecordService/ListRecords", func(b belongings) []proto.Message {
			return one(&tandemv1.ListRecordsRequest{PageSize: 1, PageToken: b.record})
		}, byName},
	}
	return append(out, ofEveryKind("TagService/ListTags", byName, func(b belongings, kind tandemv1.TagKind) proto.Message {
		return &tandemv1.ListTagsRequest{Kind: kind, Name: b.ofKind(kind)}
	})...)
}

// ofEveryKind makes a probe for each kind of things that have tags.
func ofEveryKind(method string, kind probeKind, ask func(belongings, tandemv1.TagKind) proto.Message) []probe {
	var out []probe
	for _, of := range allKinds {
		out = append(out, probe{method, func(b belongings) []proto.Message { return one(ask(b, of)) }, kind})
	}
	return out
}

// documents returns documents that name something in every way that a document can, by what they name.
func documents(b belongings) map[string][]string {
	const tensors = "inputs: {a: {type: tensor, dtype: FP32, shape: [batch, 3]}, b: {type: tensor, dtype: FP32, shape: [batch, 3]}, " +
		"mode: {type: tensor, dtype: INT32, shape: []}}\n"
	doc := func(output, node string) func(ref string) string {
		return func(ref string) string {
			return "graph: ours\n" + tensors + "outputs: {it: {from: n." + output + "}}\nnodes:\n  n: {" + fmt.Sprintf(node, ref) + "}\n"
		}
	}
	of := func(refs []string, doc func(string) string) []string {
		out := make([]string, len(refs))
		for i, ref := range refs {
			out[i] = doc(ref)
		}
		return out
	}
	return map[string][]string{
		"model":    of(b.modelRefs(), doc("sum", "model: %q, in: {a: a, b: b}")),
		"plugin":   of(b.pluginRefs(), doc("done", "plugin: %q, call: memory, in: {mode: mode}")),
		"graph":    of(b.graphRefs(), doc("s", "graph: %q, in: {a: a, b: b, mode: mode}")),
		"may_call": of(b.modelRefs(), doc("y", "plugin: copy, call: names, may_call: [%q]")),
	}
}

// definitions are documents in the other form.
func definitions(b belongings) map[string]*tandemv1.GraphDocument {
	doc := func(n *tandemv1.GraphNode) *tandemv1.GraphDocument {
		n.Name = "n"
		return &tandemv1.GraphDocument{Graph: "ours", Outputs: []*tandemv1.GraphOutput{{Name: "it", From: "n.it"}}, Nodes: []*tandemv1.GraphNode{n}}
	}
	return map[string]*tandemv1.GraphDocument{
		"model":    doc(&tandemv1.GraphNode{Model: b.model}),
		"plugin":   doc(&tandemv1.GraphNode{Plugin: b.plugin, Call: "memory"}),
		"graph":    doc(&tandemv1.GraphNode{Graph: b.graph}),
		"may_call": doc(&tandemv1.GraphNode{Plugin: "copy", Call: "names", MayCall: []string{b.model}}),
	}
}

func graphProbes() []probe {
	var out []probe
	for _, what := range []string{"model", "plugin", "graph", "may_call"} {
		out = append(out,
			probe{"GraphService/ValidateGraph", func(b belongings) []proto.Message {
				return each(documents(b)[what], func(doc string) proto.Message {
					return &tandemv1.ValidateGraphRequest{Document: doc, Form: tandemv1.GraphForm_GRAPH_FORM_TEXT}
				})
			}, asIs},
			probe{"GraphService/ValidateGraph", func(b belongings) []proto.Message {
				return one(&tandemv1.ValidateGraphRequest{Definition: definitions(b)[what]})
			}, asIs},
			probe{"GraphService/PublishGraph", func(b belongings) []proto.Message {
				return each(documents(b)[what], func(doc string) proto.Message {
					return &tandemv1.PublishGraphRequest{Document: doc, Stage: strings.Contains(doc, "@2")}
				})
			}, asIs},
			probe{"GraphService/PublishGraph", func(b belongings) []proto.Message {
				return one(&tandemv1.PublishGraphRequest{Definition: definitions(b)[what]})
			}, asIs})
	}
	return out
}

func inferences() []probe {
	infer := func(ref string) *tandemv1.InferRequest {
		return &tandemv1.InferRequest{
			Graph: ref, Inputs: sums(), Outputs: []string{"s"}, Trace: true, StickyKey: "ann", TensorEncoding: tandemv1.TensorEncoding_TENSOR_ENCODING_ELEMENTS,
		}
	}
	cached := func(b belongings) *tandemv1.InferRequest {
		return &tandemv1.InferRequest{Graph: "copy", Inputs: vector(b.asked), Outputs: []string{}, Trace: true}
	}
	return []probe{
		// What one tenant's call left in a cache does not make the same call of another one quick. It leaves something behind itself.
		{"InferenceService/Infer", func(b belongings) []proto.Message { return one(cached(b)) }, asIs},
		{"InferenceService/InferStream", func(b belongings) []proto.Message {
			return each(append(b.graphRefs(), b.graph+"@3"), func(ref string) proto.Message {
				return &tandemv1.InferStreamRequest{Infer: infer(ref), OutputsOnly: ref == b.graph}
			})
		}, byName},
		{"InferenceService/Infer", func(b belongings) []proto.Message {
			return each(append(b.graphRefs(), b.graph+"@3"), func(ref string) proto.Message { return infer(ref) })
		}, byName},
	}
}

func uploads() []probe {
	data := []byte("hello")
	return []probe{
		{"ModelService/BeginModelUpload", func(b belongings) []proto.Message {
			return each([]string{b.modelUpload, b.model}, func(name string) proto.Message {
				return &tandemv1.BeginModelUploadRequest{Name: name, SizeBytes: uploadSize, Digest: b.uploadDigest}
			})
		}, asIs},
		{"PluginService/BeginPluginUpload", func(b belongings) []proto.Message {
			return each([]string{b.pluginUpload, b.plugin}, func(name string) proto.Message {
				return &tandemv1.BeginPluginUploadRequest{Name: name, SizeBytes: uploadSize, Digest: b.uploadDigest}
			})
		}, asIs},
		{"ModelService/PutModelChunk", func(b belongings) []proto.Message {
			return one(&tandemv1.PutModelChunkRequest{UploadId: b.modelUploadID, Offset: 10, Data: data, Crc32C: castagnoli(data)})
		}, byName},
		{"PluginService/PutPluginChunk", func(b belongings) []proto.Message {
			return one(&tandemv1.PutPluginChunkRequest{UploadId: b.pluginUploadID, Offset: 10, Data: data, Crc32C: castagnoli(data)})
		}, byName},
		{"ModelService/FinishModelUpload", func(b belongings) []proto.Message {
			return one(&tandemv1.FinishModelUploadRequest{UploadId: b.modelUploadID, Options: &tandemv1.ModelOptions{MaxRows: 1}})
		}, byName},
		{"PluginService/FinishPluginUpload", func(b belongings) []proto.Message {
			return one(&tandemv1.FinishPluginUploadRequest{UploadId: b.pluginUploadID})
		}, byName},
	}
}

// changes move and remove things.
func changes() []probe {
	out := ofEveryKind("TagService/SetTag", byName, func(b belongings, kind tandemv1.TagKind) proto.Message {
		return &tandemv1.SetTagRequest{Kind: kind, Name: b.ofKind(kind) + "@1", Tag: "other"}
	})
	out = append(out, ofEveryKind("TagService/DeleteTag", byName, func(b belongings, kind tandemv1.TagKind) proto.Message {
		return &tandemv1.DeleteTagRequest{Kind: kind, Name: b.ofKind(kind), Tag: "prod"}
	})...)
	return append(out,
		probe{"ReleaseService/SetCanary", func(b belongings) []proto.Message {
			return each([]string{"1", "3"}, func(release string) proto.Message {
				return &tandemv1.SetCanaryRequest{Graph: b.graph, Release: release, Percent: 10, Sticky: "request.sticky_key"}
			})
		}, byName},
		probe{"ReleaseService/PromoteCanary", func(b belongings) []proto.Message {
			return one(&tandemv1.PromoteCanaryRequest{Graph: b.graph, Version: 99})
		}, byName},
		probe{"ReleaseService/AbortCanary", func(b belongings) []proto.Message { return one(&tandemv1.AbortCanaryRequest{Graph: b.graph}) }, byName},
		probe{"ReleaseService/Rollback", func(b belongings) []proto.Message {
			return each([]string{"1", "", b.graphDigest}, func(to string) proto.Message { return &tandemv1.RollbackRequest{Graph: b.graph, To: to} })
		}, byName},
		probe{"ModelService/DeleteModel", func(b belongings) []proto.Message {
			return each(b.modelRefs(), func(ref string) proto.Message { return &tandemv1.DeleteModelRequest{Name: ref} })
		}, byName},
		probe{"PluginService/DeletePlugin", func(b belongings) []proto.Message {
			return each(b.pluginRefs(), func(ref string) proto.Message { return &tandemv1.DeletePluginRequest{Name: ref} })
		}, byName},
		// Who publishes under a name that another tenant uses has a graph of its own from then on, and removes that.
		probe{"GraphService/PublishGraph", func(b belongings) []proto.Message {
			return one(&tandemv1.PublishGraphRequest{Document: "graph: " + b.graph + "\ninputs: {text: text}\noutputs: {text: text}\n"})
		}, asIs},
		probe{"GraphService/DeleteGraph", func(b belongings) []proto.Message {
			return each([]string{b.graph + "@1", b.graph, b.graph + "@" + b.graphDigest}, func(ref string) proto.Message {
				return &tandemv1.DeleteGraphRequest{Name: ref}
			})
		}, byName})
}

func tenantProbes() []probe {
	const caller = tandemv1.Role_ROLE_CALLER
	hour := durationpb.New(3600e9)
	old := timestamppb.New(timestampOfOld)
	return []probe{
		{"TenantService/GetTenant", func(b belongings) []proto.Message { return one(&tandemv1.GetTenantRequest{Name: b.tenant}) }, byName},
		{"TenantService/ListKeys", func(b belongings) []proto.Message { return one(&tandemv1.ListKeysRequest{Tenant: b.tenant}) }, byName},
		{"TenantService/GetUsage", func(b belongings) []proto.Message {
			return one(&tandemv1.GetUsageRequest{Tenant: b.tenant, From: old, To: timestamppb.New(timestampOfOld.Add(3600e9)), Step: hour})
		}, byName},
		{"TenantService/ListChanges", func(b belongings) []proto.Message {
			return one(&tandemv1.ListChangesRequest{Tenant: b.tenant, PageSize: 10, PageToken: "0", Since: old})
		}, byName},
		{"TenantService/CreateKey", func(b belongings) []proto.Message {
			return one(&tandemv1.CreateKeyRequest{Tenant: b.tenant, Name: b.key, Role: caller, Graphs: []string{b.graph}, Lifetime: hour})
		}, byName},
		{"TenantService/RotateKey", func(b belongings) []proto.Message {
			return []proto.Message{&tandemv1.RotateKeyRequest{Id: b.key, Grace: hour}, &tandemv1.RotateKeyRequest{Tenant: b.tenant, Id: b.key, Grace: hour}}
		}, byName},
		{"TenantService/RevokeKey", func(b belongings) []proto.Message {
			return []proto.Message{&tandemv1.RevokeKeyRequest{Id: b.key}, &tandemv1.RevokeKeyRequest{Tenant: b.tenant, Id: b.key}}
		}, byName},
		{"TenantService/SetTenantLimits", func(b belongings) []proto.Message {
			return one(&tandemv1.SetTenantLimitsRequest{Name: b.tenant, Limits: tenantLimits(1)})
		}, operatorOnly},
		{"TenantService/SuspendTenant", func(b belongings) []proto.Message { return one(&tandemv1.SuspendTenantRequest{Name: b.tenant}) }, operatorOnly},
		{"TenantService/ResumeTenant", func(b belongings) []proto.Message { return one(&tandemv1.ResumeTenantRequest{Name: b.tenant}) }, operatorOnly},
		{"TenantService/CreateTenant", func(b belongings) []proto.Message {
			return one(&tandemv1.CreateTenantRequest{Name: b.tenant, Limits: tenantLimits(1)})
		}, operatorOnly},
		{"TenantService/DeleteTenant", func(b belongings) []proto.Message { return one(&tandemv1.DeleteTenantRequest{Name: b.tenant}) }, operatorOnly},
	}
}
