package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tandem-serve/tandem/host/server"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tandem": main})
}

// TestScripts runs the command line as people do; see testdata/*.txtar. A script that needs a server starts it with
// "exec tandem serve ... &" and waits for it with "waitfile data/endpoint".
func TestScripts(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	lib, err := server.FindONNXRuntime(os.Getenv, root)
	if err != nil {
		t.Fatal(err)
	}
	goEnv, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(string(goEnv))
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ONNXRUNTIME_LIB", lib)
			e.Setenv("ROOT", root)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GOCACHE", cache) // or every plugin in Go would compile the standard library
			own, _, _ := strings.Cut(e.Getenv("PATH"), string(filepath.ListSeparator))
			e.Setenv("TANDEM_BIN", own) // tandem alone, without compilers
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfile": waitFile, "keyenv": keyEnv, "adminenv": adminEnv,
		},
	})
}

// waitFile waits until a file exists, as long as a server may need to start on a busy machine.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: waitfile FILE")
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("%s did not appear", args[0])
		case <-tick.C:
		}
	}
}

// keyEnv makes the key in a file the one that commands use.
func keyEnv(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: keyenv FILE")
	}
	ts.Setenv("TANDEM_SERVER", strings.TrimSpace(ts.ReadFile("data/endpoint")))
	ts.Setenv("TANDEM_KEY", strings.TrimSpace(ts.ReadFile(args[0])))
}

// adminEnv makes commands find the server and its first key in the data folder again.
func adminEnv(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("TANDEM_SERVER", "")
	ts.Setenv("TANDEM_KEY", "")
}
