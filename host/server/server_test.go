package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tandem-serve/tandem/host/sandbox/sandboxtest"
	"github.com/tandem-serve/tandem/host/server"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config(t testing.TB) server.Config {
	t.Helper()
	return server.Config{DataDir: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
}

// running is a server that answers, with a client for it.
type running struct {
	*client.Client
	url  string
	key  string // of an admin
	http *http.Client
	stop func() error
}

func run(t testing.TB, cfg server.Config) *running {
	t.Helper()
	s, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	r := &running{url: s.URL(), http: &http.Client{Transport: &http.Transport{}}}
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		r.http.CloseIdleConnections()
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	key, err := os.ReadFile(filepath.Join(cfg.DataDir, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	r.key = strings.TrimSpace(string(key))
	r.Client, err = client.New(r.url, client.WithKey(r.key), client.WithHTTPClient(r.http))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do sends a request with JSON and more headers, and returns the answer, which must be good.
func (r *running) do(t *testing.T, method, path, body string, more map[string]string) (http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range more {
		req.Header.Set(name, value)
	}
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v: %s", path, res.StatusCode, err, b)
	}
	return res.Header, string(b)
}

func TestStartStopStart(t *testing.T) {
	cfg := config(t)
	r := run(t, cfg)
	info, err := r.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{})
	if err != nil || info.GetTenant() != "default" || info.GetRole() != "admin" || info.GetOnnxruntimeMissing() == "" {
		t.Fatalf("got %v, %v", info, err)
	}
	endpoint, err := os.ReadFile(filepath.Join(cfg.DataDir, server.EndpointFile))
	if err != nil || strings.TrimSpace(string(endpoint)) != r.url {
		t.Fatalf("the endpoint file says %q, %v, want %s", endpoint, err, r.url)
	}
	wasm := sandboxtest.Module(t, "values")
	if _, err := r.PushPlugin(t.Context(), "values", strings.NewReader(string(wasm)), int64(len(wasm))); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cfg.DataDir, server.EndpointFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the endpoint file outlives the server: %v", err)
	}
	again := run(t, cfg)
	got, err := again.Plugins.GetPlugin(t.Context(), &tandemv1.GetPluginRequest{Name: "values"})
	if err != nil || got.GetPlugin().GetVersion() != 1 {
		t.Fatalf("after a restart: got %v, %v", got, err)
	}
}

func TestASecondServerIsKeptOut(t *testing.T) {
	cfg := config(t)
	run(t, cfg)
	if _, err := server.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another server is using it") {
		t.Fatalf("got %v, want a refusal that says why", err)
	}
}

func TestAddressesThatAreNotLoopbackNeedLeave(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:80", "nonsense"} {
		cfg := config(t)
		cfg.Listen = listen
		if _, err := server.New(t.Context(), cfg); err == nil {
			t.Errorf("%s was accepted", listen)
		}
	}
}

func TestWithoutONNXRuntimeModelsAreRefusedWithTheReason(t *testing.T) {
	cfg := config(t)
	cfg.ONNXRuntimeMissing = "nobody installed it"
	r := run(t, cfg)
	model, err := os.ReadFile(filepath.Join("..", "..", "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.PushModel(t.Context(), "add", strings.NewReader(string(model)), int64(len(model)))
	if client.Reason(err) != tandemv1.Reason_REASON_UNAVAILABLE || !strings.Contains(client.Message(err), "nobody installed it") {
		t.Fatalf("got %v", err)
	}
}

func TestMetricsHealthAndProfiles(t *testing.T) {
	cfg := config(t)
	cfg.Profiles = true
	r := run(t, cfg)
	if _, err := r.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{}); err != nil {
		t.Fatal(err)
	}
	get := func(method, path, body string, more map[string]string) string {
		_, text := r.do(t, method, path, body, more)
		return text
	}
	admin := map[string]string{"Authorization": "Bearer " + r.key}
	if text := get(http.MethodGet, "/metrics", "", admin); !strings.Contains(text, "GetServerInfo") {
		t.Error("the metrics do not count the call")
	}
	if text := get(http.MethodPost, "/grpc.health.v1.Health/Check", "{}", nil); !strings.Contains(text, "SERVING") {
		t.Errorf("health says %s", text)
	}
	if text := get(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", admin); !strings.Contains(text, "goroutine profile") {
		t.Errorf("the profile is %s", text)
	}
}

// TestStopCutsOffWhatDoesNotEnd stops a server while a client holds a call open: the stop ends in time and says so.
func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	cfg := config(t)
	cfg.StopTimeout = 200 * time.Millisecond
	s, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	key, err := os.ReadFile(filepath.Join(cfg.DataDir, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	body, feed := io.Pipe() // a body that never ends
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/tandem.v1.ServerService/GetServerInfo", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	// The client holds the body back until the server has begun to read it.
	req.Header.Set("Expect", "100-continue")
	hc := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := hc.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	if _, err := feed.Write([]byte("{")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v, want an error that says that calls were cut off", err)
	}
	_ = feed.Close()
	<-answered
	hc.CloseIdleConnections()
}
