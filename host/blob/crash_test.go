package blob_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/blob"
	"github.com/tandem-serve/tandem/internal/crashtest"
)

// startEnv is the step at which a child begins.
const startEnv = "BLOB_CRASH_START"

func TestMain(m *testing.M) {
	crashtest.Child(context.Background(), crashChild)
	goleak.VerifyTestMain(m)
}

// crashContent is the content that the child uploads at step i: of many sizes, each different.
func crashContent(i int) []byte { return randomBytes(uint64(i), 1+(i*7919)%300_000) }

// crashChild uploads until it is killed and says on stdout what was acknowledged.
func crashChild(ctx context.Context, dir string) error {
	d, err := blob.OpenDir(ctx, blob.Config{Dir: dir})
	if err != nil {
		return err
	}
	start, err := strconv.Atoi(os.Getenv(startEnv))
	if err != nil {
		return err
	}
	for i := start; ; i++ {
		data := crashContent(i)
		up, err := d.Begin(ctx, params("a", "m", data))
		if err != nil {
			return err
		}
		for off := up.Offset; off < int64(len(data)); {
			part := data[off:min(off+60_000, int64(len(data)))]
			if off, err = d.Append(ctx, "a", up.ID, off, part, crc(part)); err != nil {
				return err
			}
		}
		if _, err := d.Finish(ctx, "a", up.ID); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, i)
	}
}

// TestKill kills a process that uploads, at random moments.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	next, rounds := 0, crashtest.Rounds(t)
	acked := []int{}
	for range rounds {
		crashtest.Kill(t, dir, func(line string) {
			i, err := strconv.Atoi(line)
			if err != nil {
				t.Fatal(err)
			}
			acked, next = append(acked, i), i+1
		}, startEnv+"="+strconv.Itoa(next))
		checkAfterKill(t, dir, acked, next)
		next++ // what was in flight is left behind, half finished
	}
	t.Logf("%d kills, %d acknowledged uploads", rounds, len(acked))
}

func checkAfterKill(t *testing.T, dir string, acked []int, inFlight int) {
	t.Helper()
	d, err := blob.OpenDir(t.Context(), blob.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, i := range acked {
		wantBlob(t, d, crashContent(i))
	}
	n := 0
	for info, err := range d.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; info.Size == 0 {
			t.Errorf("%s is empty", info.Digest)
		}
	}
	if n < len(acked) {
		t.Fatalf("%d blobs, %d acknowledged", n, len(acked))
	}
	// what was in flight goes on from where it stands
	data := crashContent(inFlight)
	if err := tryUpload(t, d, params("a", "m", data), data); err != nil {
		t.Fatal(err)
	}
	wantBlob(t, d, data)
}
