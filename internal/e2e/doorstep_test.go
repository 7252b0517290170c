package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// keyGuessing calls with the attacker's own key but for its last letters, and with keys of nobody.
func keyGuessing() attack {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	return attack{name: "key guessing", workers: 8, strike: func(ctx context.Context, a *attacker, worker, _ int) error {
		guess := []byte(a.key)
		for i := len(guess) - 20*(1+worker%2); i < len(guess); i++ {
			guess[i] = letters[rand.IntN(len(letters))]
		}
		c, err := client.New(a.url, client.WithKey(string(guess)))
		if err != nil {
			return err
		}
		_, err = c.Server.GetServerInfo(ctx, &tandemv1.GetServerInfoRequest{})
		if err == nil {
			return errors.New("a guess was right")
		}
		return err
	}}
}

// slowUploads begins uploads and sends their chunks a byte at a time, on many connections.
func slowUploads() attack {
	return attack{name: "slow uploads", workers: 64, strike: func(ctx context.Context, a *attacker, worker, n int) error {
		digest := fmt.Sprintf("sha256:%064x", worker<<32|n)
		if _, err := a.client.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: "slow", SizeBytes: 1 << 30, Digest: digest}); err != nil && worker%2 == 0 {
			return err
		}
		conn := rawCall(ctx, a.url, "tandem.v1.ModelService/PutModelChunk", a.key, "Content-Length: 8000000", "Content-Type: application/proto")
		if conn == nil {
			return errors.New("no connection")
		}
		defer conn.Close()
		return drip(ctx, conn, []byte("\n"), 50*time.Millisecond)
	}}
}

// rawCall opens a connection and sends the head of a call, nil when that failed. A key of "" sends none.
func rawCall(ctx context.Context, url, procedure, key string, headers ...string) net.Conn {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil
	}
	head := "POST /" + procedure + " HTTP/1.1\r\nHost: tandem\r\n"
	if key != "" {
		head += "Authorization: Bearer " + key + "\r\n"
	}
	for _, h := range headers {
		head += h + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		_ = conn.Close() // it is broken
		return nil
	}
	return conn
}

// drip writes data again and again, a moment apart, until ctx ends or the other side has had enough.
func drip(ctx context.Context, w io.Writer, data []byte, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := w.Write(data); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func readFile(t *testing.T, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pushFile pushes a file of the project as a "model" or a "plugin".
func pushFile(t *testing.T, c *client.Client, kind, name string, path ...string) {
	t.Helper()
	file := readFile(t, path...)
	var err error
	if kind == "model" {
		_, err = c.PushModel(bounded(t), name, bytes.NewReader(file), int64(len(file)))
	} else {
		_, err = c.PushPlugin(bounded(t), name, bytes.NewReader(file), int64(len(file)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func pushValues(t *testing.T, a *attacker) {
	t.Helper()
	pushFile(t, a.client, "plugin", "values", "host", "sandbox", "sandboxtest", "testdata", "values.wasm")
}

func mustPublish(t *testing.T, c *client.Client, doc string) {
	t.Helper()
	if _, err := c.Graphs.PublishGraph(bounded(t), &tandemv1.PublishGraphRequest{Document: doc}); err != nil {
		t.Fatalf("%v %v", err, client.Detail(err).GetFaults())
	}
}

func publishAs(ctx context.Context, a *attacker, doc string) error {
	_, err := a.client.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: doc})
	return err
}
