package record_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/record"
	"github.com/tandem-serve/tandem/internal/crashtest"
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

// TestKill kills a process that appends, at random moments.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var acked []int
	rounds := crashtest.Rounds(t)
	for range rounds {
		crashtest.Kill(t, dir, func(line string) {
			i, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			acked = append(acked, i)
		})
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
