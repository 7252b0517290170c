package record_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/record"
)

// crashChild appends from several callers until it is killed and says on stdout what was acknowledged.
func crashChild(ctx context.Context, dir string) error {
	c, err := catalog.Open(ctx, catalog.Config{Dir: dir, Logger: discard})
	if err != nil {
		return err
	}
	l, err := record.Open(ctx, c.Conn(), record.Config{Logger: discard})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		wg.Go(func() {
			for errs[w] == nil {
				i := rand.IntN(1 << 40)
				if errs[w] = l.Append(ctx, "acme", rec("s", "g", i)); errs[w] == nil {
					fmt.Fprintln(os.Stdout, i) // one write, so lines do not mix
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// TestKill kills a process that appends, at random moments. RECORD_CRASHES is how often, 20 by default.
func TestKill(t *testing.T) {
	rounds := 20
	if s := os.Getenv("RECORD_CRASHES"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	var acked []int
	for range rounds {
		acked = append(acked, killRound(t, dir)...)
		l, c := open(t, dir, record.Config{})
		rs, _ := listAll(t, l, "acme", record.Filter{Limit: 1000})
		seen := map[int]bool{}
		for _, i := range numbers(t, rs) {
			if seen[i] {
				t.Fatalf("record %d is there twice", i)
			}
			seen[i] = true
		}
		for _, i := range acked {
			if !seen[i] {
				t.Fatalf("acknowledged record %d is missing", i)
			}
		}
		if err := errors.Join(l.Close(t.Context()), c.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d acknowledged records", rounds, len(acked))
}

// killRound runs a child until some moment after its first acknowledgement and returns what it acknowledged.
func killRound(t *testing.T, dir string) []int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []int
	var kill *time.Timer
	for sc := bufio.NewScanner(out); sc.Scan(); {
		i, err := strconv.Atoi(sc.Text())
		if err != nil {
			t.Fatal(err)
		}
		acked = append(acked, i)
		if kill == nil {
			kill = time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || kill == nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acked
}
