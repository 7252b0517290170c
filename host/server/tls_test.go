package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/host/server"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue writes a certificate for 127.0.0.1 and its key.
func (a *authority) issue(t *testing.T, serial int64, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTLS(t *testing.T) {
	ca, dir := newAuthority(t, "ours"), t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ca.issue(t, 7, cert, key)
	cfg := config(t)
	cfg.TLS = server.TLS{Cert: cert, Key: key}
	r := run(t, cfg)
	if !strings.HasPrefix(r.url, "https://") {
		t.Fatalf("got %s", r.url)
	}
	info := func(opts ...client.Option) error {
		c, err := client.New(r.url, append(opts, client.WithKey(adminKey(t, cfg)))...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{})
		return err
	}
	// Every protocol, over HTTP/2 (gRPC needs it) and HTTP/1.1.
	for name, opts := range map[string][]client.Option{"Connect": nil, "gRPC": {client.WithGRPC()}, "gRPC-Web": {client.WithGRPCWeb()}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool()}, ForceAttemptHTTP2: name != "gRPC-Web"}
		if err := info(append(opts, client.WithHTTPClient(&http.Client{Transport: transport}))...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		transport.CloseIdleConnections()
	}
	if err := info(client.WithHTTPClient(r.http)); err == nil {
		t.Error("a client that does not know the authority was satisfied")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(r.url, "https", "http", 1), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := r.http.Do(req); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP got %d", res.StatusCode)
		}
	}

	// A renewed certificate is served without a restart.
	ca.issue(t, 8, cert, key)
	waitSerial(t, r.url, ca, 8)
}

func adminKey(t *testing.T, cfg server.Config) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(cfg.DataDir, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// serial returns the serial number of the certificate that the server shows.
func serial(t *testing.T, url string, ca *authority) int64 {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{RootCAs: ca.pool()}}
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func waitSerial(t *testing.T, url string, ca *authority, want int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for serial(t, url, ca) != want {
		if ctx.Err() != nil {
			t.Fatalf("the server does not show certificate %d", want)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	ca, theirs, dir := newAuthority(t, "ours"), newAuthority(t, "theirs"), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca.issue(t, 1, file("cert.pem"), file("key.pem"))
	ca.issue(t, 2, file("good.pem"), file("good.key"))
	theirs.issue(t, 3, file("bad.pem"), file("bad.key"))
	write(t, file("ca.pem"), ca.pem)
	cfg := config(t)
	cfg.TLS = server.TLS{Cert: file("cert.pem"), Key: file("key.pem"), ClientCA: file("ca.pem")}
	r := run(t, cfg)
	for name, want := range map[string]bool{"good": true, "bad": false, "": false} {
		config := &tls.Config{RootCAs: ca.pool()}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(file(name+".pem"), file(name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		transport := &http.Transport{TLSClientConfig: config}
		c, err := client.New(r.url, client.WithKey(adminKey(t, cfg)), client.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Server.GetServerInfo(t.Context(), &tandemv1.GetServerInfoRequest{})
		if (err == nil) != want {
			t.Errorf("certificate %q: got %v", name, err)
		}
		transport.CloseIdleConnections()
	}
}

func TestTLSConfig(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"no key":       func(c *server.Config) { c.TLS.Cert = "cert.pem" },
		"only clients": func(c *server.Config) { c.TLS.ClientCA = "ca.pem" },
		"no such file": func(c *server.Config) { c.TLS = server.TLS{Cert: "nope.pem", Key: "nope.key"} },
	} {
		cfg := config(t)
		change(&cfg)
		if _, err := server.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// TestCrossOrigin asks as browsers do before they let a page call.
func TestCrossOrigin(t *testing.T) {
	for name, c := range map[string]struct {
		origins []string
		want    string
	}{"off": {nil, ""}, "named": {[]string{"https://app.example.com"}, "https://app.example.com"}, "another": {[]string{"https://else.example.com"}, ""}} {
		cfg := config(t)
		cfg.CORSOrigins = c.origins
		r := run(t, cfg)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url+"/tandem.v1.InferenceService/Infer", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", "https://app.example.com")
		req.Header.Set("Access-Control-Request-Method", http.MethodPost)
		req.Header.Set("Access-Control-Request-Headers", "authorization,connect-protocol-version,content-type")
		res, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != c.want || res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
