package graph_test

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

// archive is a text file of small files, in the txtar format: a comment, then each file after a line "-- name --".
type archive struct {
	comment []byte
	files   []archiveFile
}

type archiveFile struct {
	name string
	data []byte
}

var archiveMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

func readArchive(t testing.TB, path string) *archive {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	marks := archiveMark.FindAllSubmatchIndex(src, -1)
	a := &archive{comment: src}
	for i, m := range marks {
		if i == 0 {
			a.comment = src[:m[0]]
		}
		end := len(src)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		a.files = append(a.files, archiveFile{name: string(src[m[2]:m[3]]), data: src[m[1]:end]})
	}
	return a
}

func (a *archive) write(t *testing.T, path string) {
	t.Helper()
	b := bytes.Clone(a.comment)
	for _, f := range a.files {
		b = append(b, "-- "+f.name+" --\n"...)
		b = append(b, f.data...)
		if len(f.data) > 0 && !bytes.HasSuffix(f.data, []byte("\n")) {
			b = append(b, '\n')
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
