package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// hostileWindow is how long each attack lasts unless TANDEM_HOSTILE says otherwise; make test-hostile says 5s.
const hostileWindow = 400 * time.Millisecond

// attack is what one ordinary tenant with an ordinary tenant's limits does to a server.
type attack struct {
	name    string
	workers int // that strike at the same time
	// prepare gives the attacker what it needs. Default: nothing.
	prepare func(t *testing.T, a *attacker)
	// strike does harm once; n counts the worker's strikes. Its error only goes into the table.
	strike func(ctx context.Context, a *attacker, worker, n int) error
}

// attacker is the tenant of one attack.
type attacker struct {
	url    string
	client *client.Client
	key    string
}

// struck is what came of an attack.
type struck struct {
	name           string
	alone, under   latencies
	stolen         time.Duration  // by the machine's host while the victim was attacked, of all cores together
	answers        map[string]int // by reason, "ok" for those that succeeded
	before, during int            // resident memory in MiB, during is the most
	after          int
}

// TestHostileTenants runs one attack after the other, each by a tenant of its own, against a server on which a victim calls
// its graph at a steady rate. No call of the victim may fail, the victim must be inside its share, the server must live, and in
// the long form its memory must come back. How long the victim's calls take is printed and not asserted: the attackers' own
// work, although it goes behind, shares the machine with the server.
func TestHostileTenants(t *testing.T) {
	window := hostileWindow
	if text := os.Getenv("TANDEM_HOSTILE"); text != "" {
		var err error
		if window, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	v.load(t, window) // warms up what is made on the first calls
	used := s.CPU()
	began := time.Now()
	v.load(t, window)
	share := (s.CPU() - used).Seconds() / time.Since(began).Seconds()
	t.Logf("the victim alone keeps the server busy for %.2f cores; half of the machine is %.1f", share, float64(runtime.NumCPU())/2)
	if share > float64(runtime.NumCPU())/2 {
		t.Errorf("the victim takes %.2f cores, more than its share", share)
	}
	first := residentMiB(t, s.PID())
	var rows []struck
	defer func() { // also when an attack ends the test
		t.Logf("attacks of %v each, the victim calls %d times a second:\n%s", window, victimRate, table(rows))
	}()
	for _, a := range attacks(t) {
		t.Run(a.name, func(t *testing.T) {
			row := a.run(t, s, v, window)
			t.Logf("p99 %s alone, %s attacked", millis(row.alone.at(99)), millis(row.under.at(99)))
			rows = append(rows, row)
			if _, err := s.Client.Server.GetServerInfo(bounded(t), &tandemv1.GetServerInfoRequest{}); err != nil {
				t.Fatalf("the server does not live: %v", err)
			}
		})
	}
	if window == hostileWindow {
		t.Logf("resident memory: %d MiB before the attacks, %d MiB at once after them", first, residentMiB(t, s.PID()))
		return // garbage is collected within minutes, for which the short form does not wait
	}
	last := residentAtMost(t, s.PID(), first+memorySlackMiB)
	t.Logf("resident memory: %d MiB before the attacks, %d MiB after them", first, last)
	if last > first+memorySlackMiB {
		t.Errorf("the server has %d MiB after the attacks, %d before them", last, first)
	}
}

// memorySlackMiB is what may be left of all attacks together: what allocators keep, and the victim's own.
const memorySlackMiB = 512

// run measures the victim alone for half of the window, while the attacker strikes for all of it, and alone again for the other
// half, when the attacker has been deleted and what it began has ended.
func (k attack) run(t *testing.T, s *rig.Server, v *victim, window time.Duration) struck {
	t.Helper()
	tenant := "attacker-" + strings.ReplaceAll(k.name, " ", "-")
	c, key := newTenantWithKey(t, s, tenant, nil)
	a := &attacker{url: s.URL, client: c, key: key}
	if k.prepare != nil {
		k.prepare(t, a)
	}
	settle(t, s)
	row := struck{name: k.name, before: residentMiB(t, s.PID())}
	row.alone = v.load(t, window/2)
	strikers := k.unleash(t, a)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	watched := watchMemory(ctx, t, s.PID())
	stolen := rig.Stolen()
	row.under = v.load(t, window)
	row.stolen = rig.Stolen() - stolen
	row.answers = strikers.stop(t)
	stop()
	row.during = <-watched
	if _, err := s.Client.Tenants.DeleteTenant(bounded(t), &tandemv1.DeleteTenantRequest{Name: tenant}); err != nil {
		t.Errorf("delete the attacker: %v", err)
	}
	row.after = residentMiB(t, s.PID())
	settle(t, s)
	row.alone.add(v.load(t, window/2))
	if len(row.under.failed)+len(row.alone.failed) > 0 {
		t.Errorf("%d of %d calls of the victim failed, and %d of %d without the attack: %v", len(row.under.failed), row.under.calls,
			len(row.alone.failed), row.alone.calls, errors.Join(slices.Concat(row.alone.failed, row.under.failed)...))
	}
	return row
}

// settle waits until the server has nothing to do, at most five seconds.
func settle(t *testing.T, s *rig.Server) {
	t.Helper()
	const look = 100 * time.Millisecond
	tick := time.NewTicker(look)
	defer tick.Stop()
	last := s.CPU()
	for range 5 * time.Second / look {
		<-tick.C
		now := s.CPU()
		if now-last <= look/5 {
			return
		}
		last = now
	}
}

// watchMemory sends the most resident memory that the process has until ctx ends.
func watchMemory(ctx context.Context, t *testing.T, pid int) <-chan int {
	t.Helper()
	most := make(chan int, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		peak := 0
		for {
			peak = max(peak, residentMiB(t, pid))
			select {
			case <-tick.C:
			case <-ctx.Done():
				most <- peak
				return
			}
		}
	}()
	return most
}

// residentAtMost waits until a process has at most so much memory, but no longer than five minutes, and returns what it has: Go
// collects the garbage of a server that has nothing to do after two minutes, and gives it back slowly.
func residentAtMost(t *testing.T, pid, mib int) int {
	t.Helper()
	deadline := time.NewTimer(5 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := residentMiB(t, pid); now <= mib {
			return now
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return residentMiB(t, pid)
		}
	}
}

// table writes what came of all attacks in Markdown.
func table(rows []struck) string {
	var out strings.Builder
	fmt.Fprintln(&out, "| attack | victim's calls alone, attacked | failed | p50 alone | p50 attacked | p99 alone | p99 attacked | ratio of p99 | taken from the machine (ms) | memory before, most, after (MiB) | what the attacker got |")
	fmt.Fprintln(&out, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	within := 0
	for _, r := range rows {
		alone, under := r.alone.at(99), r.under.at(99)
		ratio := float64(under) / float64(max(alone, 1))
		if ratio <= 2 {
			within++
		}
		fmt.Fprintf(&out, "| %s | %d, %d | %d | %s | %s | %s | %s | %.1f | %d | %d, %d, %d | %s |\n", r.name, r.alone.calls, r.under.calls, len(r.under.failed),
			millis(r.alone.at(50)), millis(r.under.at(50)), millis(alone), millis(under), ratio, r.stolen.Milliseconds(), r.before, r.during, r.after, r.got())
	}
	fmt.Fprintf(&out, "the p99 is within twice the p99 alone in %d of %d\n", within, len(rows))
	return out.String()
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// got lists the answers, the most frequent first.
func (r *struck) got() string {
	names := make([]string, 0, len(r.answers))
	for name := range r.answers {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return r.answers[b] - r.answers[a] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", r.answers[name], name)
	}
	if len(names) == 0 {
		return "nothing: its calls never ended"
	}
	return strings.Join(names, ", ")
}
