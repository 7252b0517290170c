package catalog_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

// external runs a NATS server of its own on a loopback port.
type external struct {
	t   *testing.T
	dir string
	srv *server.Server
	// port is -1 until the server has one.
	port int
}

func newExternal(t *testing.T) *external {
	t.Helper()
	e := &external{t: t, dir: t.TempDir(), port: -1}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func (e *external) start() {
	e.t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "external", Host: "127.0.0.1", Port: e.port, JetStream: true, StoreDir: e.dir, SyncAlways: true,
		NoSigs: true, NoLog: true,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		e.t.Fatal("the external server does not start")
	}
	e.srv, e.port = srv, srv.Addr().(*net.TCPAddr).Port
}

func (e *external) stop() {
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
}

func (e *external) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", e.port) }

// eventually waits for something that another process has caused.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// TestExternal has two catalogs on one external store.
func TestExternal(t *testing.T) {
	e := newExternal(t)
	one, two := open(t, catalog.Config{URL: e.url()}), open(t, catalog.Config{URL: e.url()})
	w := watch(t, two)
	w.want("synced")
	m := put(t, one, "m", 1)
	w.want("model acme/m")
	if got, err := two.GetModel(t.Context(), "acme", "m", ""); err != nil || got.Digest != m.Digest {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i := range 200 { // one's own writes are read at once, also by the other
		put(t, one, "m", i)
		if got, err := two.GetModel(t.Context(), "acme", "m", ""); err != nil || got.Digest != digest(i) {
			t.Fatalf("stale read: got %+v, %v", got, err)
		}
	}

	k, plain := newKey("acme")
	want(t, "put tenant", one.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}), nil)
	want(t, "put key", one.PutKey(t.Context(), k), nil)
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: two})
	eventually(t, "the other knows the key", func() bool {
		_, err := a.Authenticate(t.Context(), "Bearer "+plain)
		return err == nil
	})
	want(t, "delete key", one.DeleteKey(t.Context(), "acme", k.ID), nil)
	eventually(t, "the other refuses the key", func() bool {
		_, err := a.Authenticate(t.Context(), "Bearer "+plain)
		return err != nil
	})
}

// TestExternalRestart stops the external store while a catalog is open.
func TestExternalRestart(t *testing.T) {
	e := newExternal(t)
	c := open(t, catalog.Config{URL: e.url()})
	m := put(t, c, "m", 1)
	k, plain := newKey("acme")
	want(t, "put tenant", c.PutTenant(t.Context(), tenant.Tenant{ID: "acme"}), nil)
	want(t, "put key", c.PutKey(t.Context(), k), nil)
	a := tenant.NewAuthenticator(tenant.AuthConfig{Store: c})
	w := watch(t, c)
	w.want("model acme/m", "synced")

	e.stop()
	eventually(t, "the catalog notices", func() bool { return !c.MirrorUsable() })
	if _, err := a.Authenticate(shortly(t), "Bearer "+plain); err == nil {
		t.Error("a key is taken for good while the store cannot be asked")
	}
	_, err := c.GetModel(shortly(t), "acme", "m", "")
	want(t, "get", err, catalog.ErrUnavailable)

	e.start()
	eventually(t, "the catalog is back", c.MirrorUsable)
	if _, err := a.Authenticate(t.Context(), "Bearer "+plain); err != nil {
		t.Errorf("authenticate: %v", err)
	}
	if got, err := c.GetModel(t.Context(), "acme", "m", ""); err != nil || got.Digest != m.Digest {
		t.Errorf("got %+v, %v", got, err)
	}
	put(t, c, "m", 2)
	w.want("model acme/m")
	publish(t, c, "g", "x")
	w.want("graph acme/g")
}
