package blob_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/blob"
)

const crashDirEnv = "BLOB_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		if err := crashChild(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
	start, err := strconv.Atoi(os.Getenv("BLOB_CRASH_START"))
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

// TestKill kills a process that uploads, at random moments. BLOB_CRASHES is how often, 20 by default.
func TestKill(t *testing.T) {
	rounds := 20
	if s := os.Getenv("BLOB_CRASHES"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	next := 0
	acked := []int{}
	for range rounds {
		got := killRound(t, dir, next)
		acked = append(acked, got...)
		if len(got) > 0 {
			next = got[len(got)-1] + 1
		}
		checkAfterKill(t, dir, acked, next)
		next++ // what was in flight is left behind, half finished
	}
	t.Logf("%d kills, %d acknowledged uploads", rounds, len(acked))
}

// killRound runs the child until some moment after its first acknowledgement and returns what it acknowledged.
func killRound(t *testing.T, dir string, start int) []int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, "BLOB_CRASH_START="+strconv.Itoa(start))
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
		i, err := strconv.Atoi(strings.TrimSpace(sc.Text()))
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
