package e2e

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// strikers is the process of an attack: attackers have machines of their own, so what they compute must take neither the victim's
// time nor the server's, as far as that goes on cores that they share.
type strikers struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	answers *os.File
}

// What the process of an attack is told by its environment.
const (
	attackName = "TANDEM_ATTACK"
	attackURL  = "TANDEM_ATTACK_URL"
	attackKey  = "TANDEM_ATTACK_KEY"
)

// yielding returns the command that starts a program whose threads take a core when nobody else wants it, but those of the server that
// work behind the others, which are in the same class: Linux's idle one, or where there is none the lowest priority.
func yielding(program string, args ...string) []string {
	if chrt, err := exec.LookPath("chrt"); err == nil { // of util-linux
		return append([]string{chrt, "--idle", "0", program}, args...)
	}
	return append([]string{"nice", "-n", "19", program}, args...)
}

// unleash starts the attack in a process of its own and returns when it has begun to strike.
func (k attack) unleash(t *testing.T, a *attacker) *strikers {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	answers, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	args := yielding(exe, "-test.run=^TestStrikes$", "-test.count=1")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), attackName+"="+k.name, attackURL+"="+a.url, attackKey+"="+a.key)
	cmd.ExtraFiles = []*os.File{theirs}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close() // the process has its own
	if _, err := io.ReadFull(answers, make([]byte, 1)); err != nil {
		t.Fatalf("the attack did not begin: %v", err)
	}
	return &strikers{cmd: cmd, stdin: stdin, answers: answers}
}

// stop ends the attack and returns what its strikes got, by reason.
func (s *strikers) stop(t *testing.T) map[string]int {
	t.Helper()
	if err := s.stdin.Close(); err != nil {
		t.Error(err)
	}
	var got map[string]int
	if err := json.NewDecoder(s.answers).Decode(&got); err != nil {
		t.Errorf("what the attack got: %v", err)
	}
	_ = s.answers.Close() // it was only read
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the attack: %v", err)
	}
	return got
}

// TestStrikes is the process of an attack. It strikes until its standard input ends, and writes what it got to descriptor 3.
func TestStrikes(t *testing.T) {
	name := os.Getenv(attackName)
	if name == "" {
		t.Skip("it is what TestHostileTenants starts")
	}
	c, err := client.New(os.Getenv(attackURL), client.WithKey(os.Getenv(attackKey)))
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{url: os.Getenv(attackURL), key: os.Getenv(attackKey), client: c}
	out := os.NewFile(3, "answers")
	for _, k := range attacks(t) {
		if k.name != name {
			continue
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { // ends with the process
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
		if _, err := out.WriteString("."); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(out).Encode(k.strikes(ctx, a)); err != nil {
			t.Fatal(err)
		}
	}
}

// strikes strikes from all workers until ctx ends and returns what they got, by reason.
func (k attack) strikes(ctx context.Context, a *attacker) map[string]int {
	got := make(map[string]int)
	var mu sync.Mutex // guards got
	var workers sync.WaitGroup
	for w := range k.workers {
		workers.Go(func() {
			pace := time.NewTicker(strikePace)
			defer pace.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				err := k.strike(ctx, a, w, n)
				if ctx.Err() == nil {
					mu.Lock()
					got[answerOf(err)]++
					mu.Unlock()
				}
				select {
				case <-pace.C:
				case <-ctx.Done():
				}
			}
		})
	}
	workers.Wait()
	return got
}

// strikePace is the least time between two strikes of a worker: that the attackers' own computing, on the cores of the server,
// is not the attack. Eight workers still call more often than a tenant may.
const strikePace = 5 * time.Millisecond

// answerOf names what an attacker got.
func answerOf(err error) string {
	if err == nil {
		return "ok"
	}
	if r := client.Reason(err); r != tandemv1.Reason_REASON_UNSPECIFIED {
		name := strings.TrimPrefix(r.String(), "REASON_")
		if q := client.Detail(err).GetQuota().GetQuota(); q != "" {
			name += " " + q
		}
		return name
	}
	return connect.CodeOf(err).String()
}
