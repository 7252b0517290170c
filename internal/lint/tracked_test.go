package lint

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unwanted are texts that tie a tracked file to one machine or one registry. The names are put together so that this
// file does not hold them itself.
var unwanted = []struct {
	what string
	re   *regexp.Regexp
}{
	{"a package registry's host (use the package's name; the user's client knows the registry)", regexp.MustCompile(
		`\b(` + strings.Join([]string{
			`proxy\.golang` + `\.org`, `sum\.golang` + `\.org`, `registry\.npmjs` + `\.(org|com)`, `registry\.yarnpkg` + `\.com`,
			`pypi` + `\.org`, `files\.pythonhosted` + `\.org`, `(index|static)\.crates` + `\.io`, `repo1?\.maven` + `\.(org|apache\.org)`,
			`deb\.debian` + `\.org`, `archive\.ubuntu` + `\.com`,
		}, "|") + `)`)},
	{"an absolute path of one machine", regexp.MustCompile(`(^|[\s"'=:(` + "`" + `])(/roo` + `t/|/work/(main|shared)|/home/[a-z]|/Users/[A-Za-z])`)},
}

func TestTrackedFiles(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			continue // deleted in the working tree, a link, or no text
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			for _, u := range unwanted {
				if m := u.re.Find(line); m != nil {
					t.Errorf("%s:%d: %q is %s", name, i+1, bytes.TrimSpace(m), u.what)
				}
			}
		}
	}
}

func TestUnwanted(t *testing.T) {
	for _, tc := range []struct {
		line string
		want bool
	}{
		{"GOPROXY=https://proxy.golang" + ".org", true},
		{`"resolved": "https://registry.npmjs` + `.org/x"`, true},
		{"cd /root" + "/go", true},
		{"see the root/ folder and work/main", false},
		{"import buf.build/go/protovalidate", false},
		{"https://go.dev/dl", false},
	} {
		got := false
		for _, u := range unwanted {
			got = got || u.re.MatchString(tc.line)
		}
		if got != tc.want {
			t.Errorf("%q: got unwanted %v, want %v", tc.line, got, tc.want)
		}
	}
}
