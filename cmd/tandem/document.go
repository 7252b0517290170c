package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
	"google.golang.org/protobuf/proto"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// messageFile is how the name of a file ends that holds a graph as a message.
const messageFile = ".binpb"

// document is a graph as it was read: text, or a message.
type document struct {
	text    string
	message *tandemv1.GraphDocument
}

// document reads a graph.
func (e *env) document(file string) (document, error) {
	var (
		b   []byte
		err error
	)
	if file == "-" {
		b, err = io.ReadAll(e.in)
	} else {
		b, err = os.ReadFile(file) //nolint:gosec // the user named the file
	}
	if err != nil {
		return document{}, err
	}
	d := document{text: string(b)}
	if filepath.Ext(file) == messageFile {
		d = document{message: &tandemv1.GraphDocument{}}
		if err := proto.Unmarshal(b, d.message); err != nil {
			return document{}, fmt.Errorf("%s is no GraphDocument message: %w", file, err)
		}
	}
	return d, nil
}

// form chooses how a graph is written down.
type form struct {
	As string `help:"Write the graph as text (checked, with all types), mermaid, svg (a picture), yaml, json, or proto (a binary GraphDocument message for a file)." enum:"text,mermaid,svg,yaml,json,proto," default:"" placeholder:"FORM"`
}

// wanted returns the form that the server is asked for.
func (f form) wanted() tandemv1.GraphForm {
	return tandemv1.GraphForm(tandemv1.GraphForm_value["GRAPH_FORM_"+strings.ToUpper(f.As)])
}

var errBinary = errors.New("a binary message is nothing for a terminal: send it to a file, > graph" + messageFile)

// print prints what the server wrote.
func (f form) print(e *env, written string, message *tandemv1.GraphDocument) error {
	if f.wanted() != tandemv1.GraphForm_GRAPH_FORM_PROTO {
		return e.say("%s", written)
	}
	if out, ok := e.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		return errBinary
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return err
	}
	_, err = e.out.Write(b)
	return err
}
