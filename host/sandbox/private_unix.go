//go:build unix

package sandbox

import (
	"io/fs"
	"os"
	"syscall"
)

// private tells whether only this user can write to a folder.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return info.Mode().Perm()&0o022 == 0 && ok && int(st.Uid) == os.Geteuid()
}
