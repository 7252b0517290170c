package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestBrokenFilesChangeNothing damages the certificate: the one before goes on, and the files are looked at once a second.
func TestBrokenFilesChangeNothing(t *testing.T) {
	dir := t.TempDir()
	files := TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	writePair(t, files)
	c, err := newCertificates(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	first := c.current(t.Context())
	for name, damage := range map[string]func() error{
		"no certificate": func() error { return os.WriteFile(files.Cert, []byte("nothing"), 0o600) },
		"no file":        func() error { return os.Remove(files.Key) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(2 * lookEvery)
		if c.current(t.Context()) != first {
			t.Errorf("%s: the certificate changed", name)
		}
	}
	writePair(t, files)
	if c.current(t.Context()) != first {
		t.Error("the files were looked at again within a second")
	}
	now = now.Add(2 * lookEvery)
	if c.current(t.Context()) == first {
		t.Error("the mended files were not read")
	}
}

// writePair writes a new certificate and its key.
func writePair(t *testing.T, files TLS) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
