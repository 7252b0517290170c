package control

import "github.com/tandem-serve/tandem/host/tenant"

// Forget closes a release and has the next call ask the catalog, as on a server that starts.
func (m *Manager) Forget(t tenant.ID, name string, version int) {
	m.drop(graphKey{t, name}, []int{version})
}
