package client_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/proto/gen/tandem/v1/tandemv1connect"
	"github.com/tandem-serve/tandem/sdk/client"
)

// echo answers with its inputs.
type echo struct {
	tandemv1connect.UnimplementedInferenceServiceHandler
}

// Infer implements tandemv1connect.InferenceServiceHandler.
func (echo) Infer(_ context.Context, r *tandemv1.InferRequest) (*tandemv1.InferResponse, error) {
	return &tandemv1.InferResponse{Outputs: r.GetInputs()}, nil
}

// TestLargeAnswersComeInFewFrames sends and gets a megabyte and counts the DATA frames of HTTP/2 both ways.
func TestLargeAnswersComeInFewFrames(t *testing.T) {
	s := connect.NewServer()
	tandemv1connect.RegisterInferenceServiceHandler(s, echo{})
	mux := http.NewServeMux()
	connecthttp.Mount(mux, s)
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	p := listen(t, strings.TrimPrefix(server.URL, "http://"))
	c, err := client.New("http://"+p.Addr().String(), client.WithGRPC())
	if err != nil {
		t.Fatal(err)
	}
	x := client.Tensor(tandemv1.DataType_DATA_TYPE_UINT8, []int64{1 << 20}, make([]byte, 1<<20))
	for range 2 { // the first request may go before the server has said what it takes
		res, err := c.Infer(t.Context(), "g", map[string]*tandemv1.Value{"x": x})
		if err != nil || len(res.GetOutputs()["x"].GetTensor().GetData()) != 1<<20 {
			t.Fatalf("got %d outputs, %v", len(res.GetOutputs()), err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// A frame for what has gathered in a small buffer, one for each 256 KiB, one for the rest; a window that is full at the wrong
	// time may part one of them.
	for way, most := range map[string]int{"down": 2 * 8, "up": 64 + 8} {
		if got := p.frames[way]; got == 0 || got > most {
			t.Errorf("two megabytes took %d DATA frames %s, want at most %d", got, way, most)
		}
	}
}

// proxy passes on one HTTP/2 connection and counts its DATA frames.
type proxy struct {
	net.Listener
	target string

	mu     sync.Mutex // guards the following
	frames map[string]int
}

func listen(t *testing.T, target string) *proxy {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, target: target, frames: map[string]int{}}
	ctx, stop := context.WithCancel(t.Context())
	var passing sync.WaitGroup
	passing.Go(func() {
		down, err := l.Accept()
		if err != nil {
			return
		}
		var d net.Dialer
		up, err := d.DialContext(ctx, "tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		defer context.AfterFunc(ctx, func() { _ = down.Close() })() // both ways end with it
		passing.Go(func() { p.pass(up, down, "up", 24) })           // after the preface
		p.pass(down, up, "down", 0)
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close() // nobody connects any more
		passing.Wait()
	})
	return p
}

// pass copies one way until that ends, then ends both.
func (p *proxy) pass(to, from net.Conn, way string, preface int64) {
	defer to.Close()
	defer from.Close()
	if _, err := io.CopyN(to, from, preface); err != nil {
		return
	}
	for {
		var head [9]byte // length (24 bits), type, flags, stream
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return
		}
		if head[3] == 0 {
			p.mu.Lock()
			p.frames[way]++
			p.mu.Unlock()
		}
		if _, err := to.Write(head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(to, from, int64(binary.BigEndian.Uint32(head[:4])>>8)); err != nil {
			return
		}
	}
}
