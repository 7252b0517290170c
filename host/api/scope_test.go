package api

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
)

// TestRulesFitTheirMessages puts each rule of the table to a message of its procedure, with the graph "mine" in every text.
func TestRulesFitTheirMessages(t *testing.T) {
	var handlers []string
	for procedure, input := range inputs(t) {
		may := procedures[procedure].within
		if may == nil {
			continue
		}
		m := input.New()
		for i := range input.Descriptor().Fields().Len() {
			if f := input.Descriptor().Fields().Get(i); f.Kind() == protoreflect.StringKind && !f.IsList() && !f.IsMap() && f.ContainingOneof() == nil {
				m.Set(f, protoreflect.ValueOfString("mine.it"))
			}
		}
		p := tenant.Principal{Tenant: "acme", Role: tenant.RolePublisher, Graphs: []string{"mine"}}
		err := protect(func() error { return may(t.Context(), scoped{&handler{}, p, m.Interface()}) })
		if errors.Is(err, errRule) {
			t.Errorf("%s: %v", procedure, err)
		}
		if err := may(t.Context(), scoped{&handler{}, p, nil}); err == nil {
			handlers = append(handlers, procedure)
		} else if !errors.Is(err, errRule) {
			t.Errorf("%s: a message that it cannot read: got %v, want errRule", procedure, err)
		}
	}
	slices.Sort(handlers)
	if diff := cmp.Diff([]string{
		tandemv1connect.GraphServiceListGraphsProcedure, tandemv1connect.GraphServicePublishGraphProcedure,
		tandemv1connect.GraphServiceValidateGraphProcedure, tandemv1connect.ServerServiceGetPlanProcedure,
		tandemv1connect.ServerServiceGetServerInfoProcedure,
	}, handlers); diff != "" {
		t.Errorf("left to handlers (-want +got):\n%s", diff)
	}
}

// inputs returns the messages of all procedures.
func inputs(t *testing.T) map[string]protoreflect.MessageType {
	t.Helper()
	all := map[string]protoreflect.MessageType{}
	for procedure := range procedures {
		name := protoreflect.FullName(procedure[1:])
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(dotted(name))
		if err != nil {
			t.Fatal(err)
		}
		md, ok := d.(protoreflect.MethodDescriptor)
		if !ok {
			t.Fatalf("%s is no method", procedure)
		}
		mt, err := protoregistry.GlobalTypes.FindMessageByName(md.Input().FullName())
		if err != nil {
			t.Fatal(err)
		}
		all[procedure] = mt
	}
	return all
}

// dotted turns service/method into the name of the method.
func dotted(procedure protoreflect.FullName) protoreflect.FullName {
	b := []byte(procedure)
	for i := range b {
		if b[i] == '/' {
			b[i] = '.'
		}
	}
	return protoreflect.FullName(b)
}

func TestUsersOfOtherGraphsAreHidden(t *testing.T) {
	err := fmt.Errorf("x: %w", &catalog.InUseError{Kind: catalog.KindModel, Name: "mine.m", By: []string{"mine@1", "secret@2", "secret@3", "tag prod"}})
	p := tenant.Principal{Graphs: []string{"mine"}}
	want := `model "mine.m" is in use by mine@1, a graph that the key is not for, tag prod`
	if got := hideUsers(p, err).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if other := errors.New("x"); !errors.Is(hideUsers(p, other), other) || hideUsers(p, nil) != nil {
		t.Error("other errors are changed")
	}
}
