package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tandem-serve/tandem/sdk/client"
)

// Connection says which server to talk to.
type Connection struct {
	Server  string        `help:"URL of the server, as http://127.0.0.1:7341." env:"TANDEM_SERVER" placeholder:"URL"`
	Key     string        `help:"API key (tdm_...)." env:"TANDEM_KEY" placeholder:"KEY"`
	Config  string        `help:"File with server and key." env:"TANDEM_CONFIG" placeholder:"FILE" type:"path"`
	Data    string        `help:"Data folder of a server on this machine." env:"TANDEM_DATA" placeholder:"DIR" default:"data" type:"path"`
	CA      string        `name:"ca" help:"PEM file with the authorities of a server at https. Default: the system's." env:"TANDEM_CA" placeholder:"FILE" type:"path"`
	Cert    string        `name:"client-cert" help:"PEM file with a client certificate and its key, for a server that wants one." env:"TANDEM_CLIENT_CERT" placeholder:"FILE" type:"path"`
	Timeout time.Duration `help:"Longest time for the whole command; 0 is no bound." default:"0s"`
}

// settings are the lines of a configuration file.
type settings struct {
	Server string `yaml:"server"`
	Key    string `yaml:"key"`
}

// client returns a client for the server that flags, environment, file or data folder name, in this order.
func (e *env) client() (*client.Client, error) {
	s := settings{Server: e.conn.Server, Key: e.conn.Key}
	for _, more := range []func() (settings, error){e.fromFile, e.fromData} {
		if s.Server != "" && s.Key != "" {
			break
		}
		m, err := more()
		if err != nil {
			return nil, err
		}
		// A key belongs to its server: never send one that came from elsewhere to another server's address.
		if s.Server != "" && m.Server != s.Server {
			continue
		}
		if s.Server == "" {
			s.Server = m.Server
		}
		if s.Key == "" {
			s.Key = m.Key
		}
	}
	if s.Server == "" {
		s.Server = "http://" + defaultListen
	}
	config, err := e.conn.tls()
	if err != nil {
		return nil, err
	}
	return client.New(s.Server, client.WithKey(s.Key), client.WithTLS(config))
}

// tls returns what the flags say of a server at https; nil when they say nothing.
func (c *Connection) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil //nolint:nilnil // nothing was said
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("%s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		cert, err := tls.LoadX509KeyPair(c.Cert, c.Cert)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// fromFile reads the configuration file; that the usual one is missing is no fault.
func (e *env) fromFile() (settings, error) {
	var s settings
	path := e.conn.Config
	if path == "" {
		dir := e.getenv("XDG_CONFIG_HOME")
		if dir == "" && e.getenv("HOME") != "" {
			dir = filepath.Join(e.getenv("HOME"), ".config")
		}
		if dir == "" {
			return s, nil
		}
		path = filepath.Join(dir, "tandem", "config.yaml")
	}
	b, err := os.ReadFile(path) //nolint:gosec // the user named the file
	if errors.Is(err, fs.ErrNotExist) && e.conn.Config == "" {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&s); err != nil {
		return s, usagef("configuration %s: %v", path, err)
	}
	return s, nil
}

// Files in a server's data folder.
const (
	endpointFile = "endpoint"
	adminKeyFile = "admin.key"
)

// fromData reads what a running server left in its data folder; nothing when none runs there or it is somebody else's.
func (e *env) fromData() (settings, error) {
	var s settings
	if url, err := os.ReadFile(filepath.Join(e.conn.Data, endpointFile)); err == nil {
		s.Server = strings.TrimSpace(string(url))
	}
	if key, err := os.ReadFile(filepath.Join(e.conn.Data, adminKeyFile)); err == nil && s.Server != "" {
		s.Key = strings.TrimSpace(string(key))
	}
	return s, nil
}
