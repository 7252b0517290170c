package sandbox

import "context"

// NewHostWithReset returns a host that resets by the given method: 0 scan, 1 copy, 2 drop.
func NewHostWithReset(ctx context.Context, cfg Config, method uint8) (*Host, error) {
	return newHost(ctx, cfg, resetMethod(method))
}
