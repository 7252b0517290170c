package sandbox

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tandem-serve/tandem/host/sandbox/abi"
)

// Plugin is one loaded module with instances of its own. It serves one tenant. It may be used by many goroutines.
type Plugin struct {
	host *Host
	prog *program
	said *declared
	// account and tenant are its tenant's.
	account *account
	tenant  *tenantUse

	mu       sync.Mutex                  // guards the following
	lanes    map[uint32]map[string]*lane // by size of arena and configuration
	numLanes int
	lookups  uint64

	live   int  // guarded by pools.mu
	closed bool // guarded by pools.mu
}

// newPlugin takes over a reference to prog.
func newPlugin(prog *program, said *declared, tenant string) *Plugin {
	h := prog.host
	p := &Plugin{host: h, prog: prog, said: said, account: h.turns.account(tenant), lanes: map[uint32]map[string]*lane{}}
	h.pools.join(p, tenant)
	return p
}

// Description returns what the plugin declared. It was validated: names are unique, kinds, dtypes and schemas are known
// and parse. It is shared and must not be changed.
func (p *Plugin) Description() abi.Description { return p.said.desc }

// Digest returns the SHA-256 of the module's bytes.
func (p *Plugin) Digest() [32]byte { return p.prog.digest }

// ValidateWith checks a configuration against the schema that the function declares. An empty with stands for {}. A
// function without a schema takes only {}. It runs nothing of the guest.
func (p *Plugin) ValidateWith(function string, with json.RawMessage) error {
	f, ok := p.said.funcs[function]
	if !ok {
		return fmt.Errorf("plugin %q has no function %q", p.said.desc.Name, function)
	}
	if err := f.validateWith(with); err != nil {
		return fmt.Errorf("plugin %q function %q: %w", p.said.desc.Name, function, err)
	}
	return nil
}

// Close refuses further calls. Calls that run are left to end; instances are freed as they do. Further calls return nil.
func (p *Plugin) Close() error {
	if !p.host.pools.closePlugin(p) {
		return nil
	}
	p.mu.Lock()
	lanes := p.lanes
	p.lanes = map[uint32]map[string]*lane{}
	p.numLanes = 0
	p.mu.Unlock()
	for _, byWith := range lanes {
		for _, l := range byWith {
			l.drop()
		}
	}
	return p.prog.release(p.host.base)
}

// shut closes instances that were idle.
func (h *Host) shut(old []*instance) {
	for _, in := range old {
		h.closeInstance(in)
	}
}

// closeInstance frees an instance. Its guest must not run.
func (h *Host) closeInstance(in *instance) {
	if err := in.close(h.base); err != nil {
		h.cfg.Logger.Error("close plugin instance", slog.Any("error", err))
	}
}
