package wasmbin

import (
	"crypto/sha256"
	"errors"
)

// shellSection is the custom section that ties a shell to its module.
const shellSection = "tandem.code"

// errShell says that a module has no code section where one is needed.
var errShell = errors.New("wasmbin: not a module as Rewrite makes it")

// Shell returns a module that is like bin but that every function traps, and that holds bin's SHA-256. Whoever has
// machine code for bin can give the shell to a runtime in its place: it declares the same and is decoded and
// validated at once. bin must come from [Module.Rewrite] or what follows it.
func Shell(bin []byte) ([]byte, error) {
	out := make([]byte, 0, len(header)+len(bin)/8)
	out = append(out, header...)
	sum := sha256.Sum256(bin)
	out = appendSection(out, secCustom, append(appendName(nil, shellSection), sum[:]...))
	if len(bin) < len(header) {
		return nil, errShell
	}
	r := newReader(bin, len(header), len(bin))
	for r.more() {
		id := r.byte()
		body := r.take(int(r.u32()))
		if r.err != nil {
			return nil, errShell
		}
		if id == secCode {
			code := newReader(body, 0, len(body))
			n := code.u32()
			body = appendU32(nil, n)
			for range n {
				body = append(body, 3, 0, opUnreachable, opEnd)
			}
		}
		out = appendSection(out, id, body)
	}
	if r.err != nil {
		return nil, errShell
	}
	return out, nil
}
