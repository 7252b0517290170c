package onnx_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSlots compares the places of functions in ort_api.h with the table in the header that the binding carries, whose order
// never changes.
func TestSlots(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Fatalf("where is the binding: %v", err)
	}
	header, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "onnxruntime_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	table := tableOf(t, string(header))
	ours, err := os.ReadFile("ort_api.h")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`\bX\((\d+), [^,]+, (\w+)`).FindAllStringSubmatch(string(ours), -1)
	if len(rows) < 40 {
		t.Fatalf("read %d functions of ort_api.h", len(rows))
	}
	for _, row := range rows {
		place, err := strconv.Atoi(row[1])
		if err != nil || place >= len(table) || table[place] != row[2] {
			t.Errorf("place %s: got %s, the header has %s", row[1], row[2], table[min(place, len(table)-1)])
		}
	}
	if version := regexp.MustCompile(`#define ORT_API_VERSION (\d+)`).FindStringSubmatch(string(header)); !strings.Contains(string(ours), "#define TDM_API_VERSION "+version[1]+"\n") {
		t.Errorf("ort_api.h asks for another version than the header's %s", version[1])
	}
}

// tableOf returns the names of the members of struct OrtApi in their order.
func tableOf(t *testing.T, header string) []string {
	t.Helper()
	header = regexp.MustCompile(`(?s)//[^\n]*|/\*.*?\*/`).ReplaceAllString(header, "")
	_, body, ok := strings.Cut(header, "\nstruct OrtApi {")
	if !ok {
		t.Fatal("the header has no struct OrtApi")
	}
	body, _, _ = strings.Cut(body, "\n};")
	release := regexp.MustCompile(`ORT_CLASS_RELEASE2?\((\w+)`)
	named := regexp.MustCompile(`ORT_API2_STATUS\((\w+)|ORT_API_T\([^,]+, (\w+)|ORT_API_CALL\s*\*\s*(\w+)`)
	var names []string
	for member := range strings.SplitSeq(body, ";") {
		switch m, r := named.FindStringSubmatch(member), release.FindStringSubmatch(member); {
		case r != nil:
			names = append(names, "Release"+r[1])
		case m != nil:
			names = append(names, m[1]+m[2]+m[3])
		case strings.TrimSpace(member) != "":
			t.Fatalf("cannot read the member %q", member)
		}
	}
	return names
}
