package server_test

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/server"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestWhoShowsAKeyIsNoStranger calls with and without a key over every protocol that a connection may speak, and counts.
func TestWhoShowsAKeyIsNoStranger(t *testing.T) {
	for name, tc := range map[string]struct {
		encrypted, http2 bool
	}{
		"HTTP/1.1": {false, false}, "HTTP/2": {false, true}, "HTTP/1.1, TLS": {true, false}, "HTTP/2, TLS": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, conf := config(t), &tls.Config{MinVersion: tls.VersionTLS12}
			if tc.encrypted {
				ca, dir := newAuthority(t, "ours"), t.TempDir()
				cfg.TLS = server.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
				ca.issue(t, 7, cfg.TLS.Cert, cfg.TLS.Key)
				conf.RootCAs = ca.pool()
			}
			r := run(t, cfg)
			p := new(http.Protocols)
			p.SetHTTP1(!tc.http2)
			p.SetHTTP2(tc.http2 && tc.encrypted)
			p.SetUnencryptedHTTP2(tc.http2 && !tc.encrypted)
			newClient := func() *running {
				transport := &http.Transport{Protocols: p, TLSClientConfig: conf.Clone()}
				t.Cleanup(transport.CloseIdleConnections)
				return &running{url: r.url, http: &http.Client{Transport: transport}}
			}
			watch, c := newClient(), newClient()
			strangers := func() string {
				_, text := watch.get(t, "/metrics", "Bearer "+metricsKey(t, cfg))
				_, rest, _ := strings.Cut(text, "\ntandem_unauthenticated_connections ")
				n, _, _ := strings.Cut(rest, "\n")
				return n
			}
			if got := strangers(); got != "0" {
				t.Errorf("%s strangers with a key for the metrics, want none", got)
			}
			c.do(t, http.MethodPost, "/grpc.health.v1.Health/Check", "{}", nil)
			if status, _ := c.get(t, "/metrics", "Bearer wrong"); status != http.StatusUnauthorized {
				t.Errorf("got %d", status)
			}
			if got := strangers(); got != "1" {
				t.Errorf("%s strangers after calls without a valid key, want 1", got)
			}
			c.do(t, http.MethodPost, "/tandem.v1.ServerService/GetServerInfo", "{}", map[string]string{"Authorization": "Bearer " + r.key})
			if got := strangers(); got != "0" {
				t.Errorf("%s strangers after a call with a key, want none", got)
			}
		})
	}
}

// TestStrangersAreToldWhy calls without a valid key over every protocol: the refusal arrives as one, though its end is waited for.
func TestStrangersAreToldWhy(t *testing.T) {
	r := run(t, config(t))
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	for name, opts := range map[string][]client.Option{"Connect": nil, "gRPC": {client.WithGRPC()}, "gRPC-Web": {client.WithGRPCWeb()}} {
		transport := &http.Transport{Protocols: p}
		c, err := client.New(r.url, append(opts, client.WithKey("tdm_wrong"), client.WithHTTPClient(&http.Client{Transport: transport}))...)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			_, err := c.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{})
			if client.Reason(err) != tandemv1.Reason_REASON_WRONG_KEY {
				t.Errorf("%s: got %v", name, err)
			}
		}
		large := client.Float32s([]int64{1 << 20}, make([]float32, 1<<20))
		if _, err := c.Infer(t.Context(), "any", map[string]*tandemv1.Value{"in": large}); client.Reason(err) != tandemv1.Reason_REASON_WRONG_KEY {
			t.Errorf("%s, large: got %v", name, err)
		}
		transport.CloseIdleConnections()
	}
}
