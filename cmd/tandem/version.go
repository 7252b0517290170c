package main

import (
	"context"
	"runtime/debug"
	"strings"
	"time"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// release is set by the linker (which needs a variable) at a release; a build from source has the version that Go notes in the binary.
var release string

func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}

type versionCmd struct{}

// Run prints the versions. A server that cannot be reached is no failure.
func (versionCmd) Run(ctx context.Context, e *env) error {
	if err := e.say("tandem %s\n", version()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	cl, err := e.client()
	if err != nil {
		return nil // the program's own version was asked for, and is said
	}
	info, err := cl.Server.GetServerInfo(ctx, &tandemv1.GetServerInfoRequest{})
	if err != nil {
		return nil // no server answers; likewise
	}
	runtime := info.GetOnnxruntimeVersion()
	if runtime == "" {
		runtime = "none (" + info.GetOnnxruntimeMissing() + ")"
	}
	role := info.GetRole()
	if graphs := info.GetGraphs(); len(graphs) > 0 {
		role += " of " + strings.Join(graphs, ", ")
	}
	return e.say("server %s, ONNX Runtime %s, tenant %s, role %s\n", info.GetVersion(), runtime, info.GetTenant(), role)
}
