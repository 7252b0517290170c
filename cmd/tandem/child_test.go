package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/sandbox"
)

// The server reads in a child's exit code whether the module is at fault or the machine.
func TestChildSaysWhoseFaultItIs(t *testing.T) {
	for _, test := range []struct {
		name, rights, says string
		code               int
	}{
		{"a module that is none", "null", "invalid magic number", sandbox.ExitRefused},
		{"not started by a server", "", "people do not", sandbox.ExitBroken},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TANDEM_RIGHTS", test.rights)
			var said bytes.Buffer
			code := run(t.Context(), []string{"compile", t.TempDir()}, streams{in: strings.NewReader("no module"), out: &said, err: &said})
			if code != test.code || !strings.Contains(said.String(), test.says) {
				t.Errorf("code %d, %q, want %d, %q", code, said.String(), test.code, test.says)
			}
		})
	}
}
