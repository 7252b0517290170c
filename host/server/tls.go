package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// TLS are the files that a server needs to encrypt. They are read again when they change, so that a renewed certificate
// needs no restart.
type TLS struct {
	// Cert and Key are PEM files: the certificate with its chain, and its key. Both or neither.
	Cert, Key string
	// ClientCA is a PEM file with the authorities of client certificates; with it, who has none of theirs is not let in.
	// Default: clients need no certificate. A certificate does not replace a key: it says which machine calls, not for whom.
	ClientCA string
}

func (t TLS) enabled() bool { return t.Cert != "" || t.Key != "" || t.ClientCA != "" }

func (t TLS) validate() error {
	if t.enabled() && (t.Cert == "" || t.Key == "") {
		return errors.New("TLS needs both a certificate and its key")
	}
	return nil
}

// certificates serves the newest readable version of the files.
type certificates struct {
	files TLS
	log   *slog.Logger
	now   func() time.Time

	mu       sync.Mutex // guards the following
	config   *tls.Config
	stamp    string // of the files that config was made of
	lookedAt time.Time
}

// lookEvery is how often it is looked whether the files changed, at most.
const lookEvery = time.Second

func newCertificates(files TLS, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, log: log, now: time.Now}
	stamp, err := files.stamp()
	if err != nil {
		return nil, err
	}
	if c.config, err = files.load(); err != nil {
		return nil, err
	}
	c.stamp, c.lookedAt = stamp, c.now()
	return c, nil
}

// serverConfig returns a configuration that asks c at every handshake.
func (c *certificates) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: c.configFor,
	}
}

func (c *certificates) configFor(h *tls.ClientHelloInfo) (*tls.Config, error) {
	return c.current(h.Context()), nil
}

// current returns the newest configuration. Files that cannot be used are reported, and the ones before go on.
func (c *certificates) current(ctx context.Context) *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.lookedAt) < lookEvery {
		return c.config
	}
	c.lookedAt = c.now()
	stamp, err := c.files.stamp()
	if err == nil && stamp == c.stamp {
		return c.config
	}
	var config *tls.Config
	if err == nil {
		config, err = c.files.load()
	}
	if err != nil {
		c.log.ErrorContext(ctx, "the new TLS files cannot be used; the ones before go on", slog.Any("error", err))
		return c.config
	}
	c.config, c.stamp = config, stamp
	c.log.InfoContext(ctx, "TLS files were read again")
	return config
}

// stamp changes when a file does.
func (t TLS) stamp() (string, error) {
	var text strings.Builder
	for _, path := range []string{t.Cert, t.Key, t.ClientCA} {
		if path == "" {
			continue
		}
		st, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(&text, "%s %d %d\n", path, st.Size(), st.ModTime().UnixNano())
	}
	return text.String(), nil
}

func (t TLS) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s with key %s: %w", t.Cert, t.Key, err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{cert}}
	if t.ClientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("authorities of client certificates: %w", err)
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("authorities of client certificates: %s holds no certificate", t.ClientCA)
	}
	return cfg, nil
}
