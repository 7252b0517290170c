package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/control"
	"github.com/tandem-serve/tandem/host/tenant"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// scoped is a call of somebody who is kept to some graphs, with its message.
type scoped struct {
	*handler

	caller tenant.Principal
	msg    any
}

// within reports whether a call may be made, by what its message names; see control.Scope. The error is tenant.ErrScope, or what says
// that there is no such upload.
type within func(context.Context, scoped) error

// keepToScope refuses what a caller that is kept to some graphs may not, once the message is there, and leaves out of what fails which
// other graphs there are.
func keepToScope(h *handler) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			p, err := tenant.PrincipalFrom(ctx)
			if err != nil {
				return err
			}
			if !p.Scoped() {
				return next(ctx, spec, stream)
			}
			may := procedures[spec.Procedure].within
			if may == nil {
				return tenant.ErrScope
			}
			return hideUsers(p, next(ctx, spec, &scopedStream{ServerStream: stream, may: func(msg any) error { return may(ctx, scoped{h, p, msg}) }}))
		}
	}
}

// scopedStream looks at each message that it receives.
type scopedStream struct {
	connect.ServerStream

	may func(msg any) error
}

// Receive implements connect.ServerStream.
func (s *scopedStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	return s.may(msg)
}

// hideUsers leaves the graphs out of err that a thing is in use by and that are not the caller's.
func hideUsers(p tenant.Principal, err error) error {
	used, ok := errors.AsType[*catalog.InUseError](err)
	if !ok {
		return err
	}
	var by []string
	for _, user := range used.By {
		if name, at, isGraph := strings.Cut(user, "@"); isGraph && at != "" && !p.HasGraph(name) {
			user = "a graph that the key is not for"
		}
		if !slices.Contains(by, user) {
			by = append(by, user)
		}
	}
	return &catalog.InUseError{Kind: used.Kind, Name: used.Name, By: by}
}

// errRule says that a rule was put to a message that it does not fit: a bug in the table.
var errRule = errors.New("the message lacks what its rule reads")

// byHandler leaves it to the handler to leave out what is not in the scope.
func byHandler(context.Context, scoped) error { return nil }

// ofGraph is for calls about the graph that a field of that name refers to.
func ofGraph(_ context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetGraph() string })
	if !ok {
		return errRule
	}
	return c.hasGraph(m.GetGraph())
}

// ofInfer is for calls that carry another one about a graph.
func ofInfer(_ context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetInfer() *tandemv1.InferRequest })
	if !ok {
		return errRule
	}
	return c.hasGraph(m.GetInfer().GetGraph())
}

// graphNamed is for calls about the graph that is named.
func graphNamed(_ context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetName() string })
	if !ok {
		return errRule
	}
	return c.hasGraph(m.GetName())
}

func (c scoped) hasGraph(ref string) error {
	if name, _ := splitRef(ref); !c.caller.HasGraph(name) {
		return tenant.ErrScope
	}
	return nil
}

// recordsOf is for calls about the records of a graph; the handler does without one.
func recordsOf(_ context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetGraph() string })
	if !ok {
		return errRule
	}
	if m.GetGraph() == "" {
		return nil
	}
	return c.hasGraph(m.GetGraph())
}

// named is for calls that change the model or plugin that is named.
func named(_ context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetName() string })
	if !ok {
		return errRule
	}
	return c.hasNamed(m.GetName())
}

func (c scoped) hasNamed(ref string) error {
	if name, _ := splitRef(ref); !c.caller.HasNamed(name) {
		return tenant.ErrScope
	}
	return nil
}

// ofUpload is for calls about an upload. Those of names outside of the scope are none.
func ofUpload(ctx context.Context, c scoped) error {
	m, ok := c.msg.(interface{ GetUploadId() string })
	if !ok {
		return errRule
	}
	p, err := c.cfg.Uploads.Params(ctx, c.caller.Tenant, m.GetUploadId())
	if err != nil {
		return err
	}
	if !c.caller.HasNamed(p.Name) {
		return fmt.Errorf("upload: %w", blob.ErrNotFound)
	}
	return nil
}

// seenModel and seenPlugin are for calls that read the one that is named.
func seenModel(ctx context.Context, c scoped) error  { return c.seesNamed(ctx, catalog.KindModel) }
func seenPlugin(ctx context.Context, c scoped) error { return c.seesNamed(ctx, catalog.KindPlugin) }

func (c scoped) seesNamed(ctx context.Context, kind catalog.Kind) error {
	m, ok := c.msg.(interface{ GetName() string })
	if !ok {
		return errRule
	}
	return c.sees(ctx, kind, m.GetName())
}

// versionsOfModel and versionsOfPlugin are for calls that list versions of one, or leave it to the handler to list what is seen.
func versionsOfModel(ctx context.Context, c scoped) error {
	return c.seesVersions(ctx, catalog.KindModel)
}

func versionsOfPlugin(ctx context.Context, c scoped) error {
	return c.seesVersions(ctx, catalog.KindPlugin)
}

func (c scoped) seesVersions(ctx context.Context, kind catalog.Kind) error {
	m, ok := c.msg.(interface{ GetVersionsOf() string })
	if !ok {
		return errRule
	}
	if m.GetVersionsOf() == "" {
		return nil
	}
	return c.sees(ctx, kind, m.GetVersionsOf())
}

func (c scoped) sees(ctx context.Context, kind catalog.Kind, ref string) error {
	s, err := c.cfg.Control.Scope(ctx, c.caller)
	if err != nil {
		return err
	}
	if name, _ := splitRef(ref); !s.Sees(kind, name) {
		return tenant.ErrScope
	}
	return nil
}

// tagged is a message about tags.
type tagged interface {
	GetKind() tandemv1.TagKind
	GetName() string
}

// tagOf is for calls that change a tag.
func tagOf(_ context.Context, c scoped) error {
	m, ok := c.msg.(tagged)
	switch {
	case !ok:
		return errRule
	case tagKinds[m.GetKind()] == catalog.KindGraph:
		return c.hasGraph(m.GetName())
	}
	return c.hasNamed(m.GetName())
}

// tagsOf is for calls that read tags.
func tagsOf(ctx context.Context, c scoped) error {
	m, ok := c.msg.(tagged)
	if !ok {
		return errRule
	}
	return c.sees(ctx, tagKinds[m.GetKind()], m.GetName())
}

// scope returns the tenant of the call and what of it the caller sees.
func (h *handler) scope(ctx context.Context) (tenant.ID, control.Scope, error) {
	p, err := tenant.PrincipalFrom(ctx)
	if err != nil {
		return "", control.Scope{}, err
	}
	s, err := h.cfg.Control.Scope(ctx, p)
	return p.Tenant, s, err
}

// page asks for a page of what is within a scope.
func page(size int32, token string, within control.Scope, kind catalog.Kind) catalog.Page {
	return catalog.Page{Size: int(size), Token: token, Only: func(name string) bool { return within.Sees(kind, name) }}
}
