// Package tenants is the suite of tenants that are busy at the same time, each of whose models run in a worker of its own: what four
// get together and how long each call waits, beside one tenant with as many callers; and how long a short model of one tenant waits
// beside another's long one.
package tenants

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tandem-serve/tandem/internal/bench/load"
	"github.com/tandem-serve/tandem/internal/bench/report"
	"github.com/tandem-serve/tandem/internal/bench/subject"
	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

const (
	many = 4 // tenants
	each = 2 // callers of each
)

// Suite returns the suite. It needs what `make setup build` makes, and takes about a minute.
func Suite() report.Suite {
	return report.Suite{
		Name: "tenants",
		Doc:  "four tenants that call text recognition at once, beside one; a short model beside another tenant's long one",
		Run:  run,
	}
}

// tenant calls the server with a key of its own.
type tenant struct{ *client.Client }

func run(ctx context.Context, r *report.Report) (err error) {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	server, err := rig.Start(ctx, rig.Options{Root: root, Log: io.Discard})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	var all []tenant
	for i := range many {
		t, err := newTenant(ctx, server, fmt.Sprintf("t%d", i), root)
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	slice, rounds := 4*time.Second, 3
	if r.Quick {
		slice, rounds = 200*time.Millisecond, 1
	}
	return errors.Join(abreast(ctx, r, all, slice, rounds), beside(ctx, r, all, slice, rounds))
}

// newTenant makes a tenant with text recognition and the product of matrices.
func newTenant(ctx context.Context, s *rig.Server, name, root string) (tenant, error) {
	limits := &tandemv1.TenantLimits{RequestsPerSecond: 1e6} // one caller of a short model makes more than the default's 1,000
	if _, err := s.Client.Tenants.CreateTenant(ctx, &tandemv1.CreateTenantRequest{Name: name, Limits: limits}); err != nil {
		return tenant{}, err
	}
	key, err := s.Client.Tenants.CreateKey(ctx, &tandemv1.CreateKeyRequest{Tenant: name, Role: tandemv1.Role_ROLE_ADMIN})
	if err != nil {
		return tenant{}, err
	}
	c, err := client.New(s.URL, client.WithKey(key.GetPlain()))
	if err != nil {
		return tenant{}, err
	}
	t := tenant{c}
	recognition, _ := rig.ModelFile(root, "ppocr-rec")
	return t, errors.Join(
		subject.Publish(ctx, c, "recognition", recognition, `
inputs: {x: {type: tensor, dtype: FP32, shape: [n, 3, 48, 320]}}
outputs: {out: {from: m.softmax_11.tmp_0}}
nodes: {m: {model: recognition, in: {x: x}}}
`, nil),
		subject.PublishProduct(ctx, c, root, "product", nil))
}

// abreast measures one tenant with as many callers as four have, and the four, in turns.
func abreast(ctx context.Context, r *report.Report, all []tenant, slice time.Duration, rounds int) error {
	line := make([]byte, 4*3*48*320)
	subject.Noise(line)
	in := map[string]*tandemv1.Value{"x": client.Tensor(tandemv1.DataType_DATA_TYPE_FP32, []int64{1, 3, 48, 320}, line)}
	var one, four load.Result
	var least []float64
	for range rounds {
		res, err := loop(ctx, slice, all[:1], many*each, "recognition", in)
		if err != nil {
			return err
		}
		one.Add(res[0])
		if res, err = loop(ctx, slice, all, each, "recognition", in); err != nil {
			return err
		}
		rates := make([]float64, len(res))
		for i, t := range res {
			rates[i] = t.PerSecond()
			four.Latency.Merge(&t.Latency)
		}
		four.Elapsed += res[0].Elapsed
		least = append(least, slices.Min(rates)*float64(len(rates))/sum(rates))
	}
	one.Report(r, "one tenant, 8 callers")
	four.Report(r, "four tenants, 2 callers each")
	r.Add("four tenants over one, throughput", four.PerSecond()/one.PerSecond(), "ratio")
	slices.Sort(least)
	r.Add("the tenant that got least, of its fair share, median of rounds", least[len(least)/2], "ratio")
	return nil
}

// beside measures a product that takes some milliseconds of one tenant, alone and beside another's that takes some hundred.
func beside(ctx context.Context, r *report.Report, all []tenant, slice time.Duration, rounds int) error {
	var alone, with load.Result
	for range rounds {
		res, err := loop(ctx, slice, all[:1], 1, "product", subject.Product(30))
		if err != nil {
			return err
		}
		alone.Add(res[0])
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error {
			_, err := loop(ctx, slice, all[1:], each, "product", subject.Product(10_000))
			return err
		})
		group.Go(func() error {
			res, err := loop(ctx, slice, all[:1], 1, "product", subject.Product(30))
			if err == nil {
				with.Add(res[0])
			}
			return err
		})
		if err := group.Wait(); err != nil {
			return err
		}
	}
	alone.Report(r, "a short model alone, 1 caller")
	with.Report(r, "beside three tenants' long ones")
	return nil
}

// loop calls a graph of each tenant from so many callers for a while and returns what each saw.
func loop(ctx context.Context, slice time.Duration, all []tenant, callers int, graph string, in map[string]*tandemv1.Value) ([]*load.Result, error) {
	out := make([]*load.Result, len(all))
	group, ctx := errgroup.WithContext(ctx)
	for i, t := range all {
		group.Go(func() (err error) {
			l := load.Loop{Callers: callers, Duration: slice, Warmup: slice / 4, MinCalls: callers}
			out[i], err = l.Run(ctx, func(ctx context.Context, _ int) error {
				_, err := t.Infer(ctx, graph, in)
				return err
			})
			return err
		})
	}
	return out, group.Wait()
}

func sum(vs []float64) (s float64) {
	for _, v := range vs {
		s += v
	}
	return s
}
