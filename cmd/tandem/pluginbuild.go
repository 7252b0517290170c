package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

type pluginBuildCmd struct {
	Dir string `arg:"" optional:"" default:"." help:"Folder of the plugin." type:"existingdir"`
	Out string `help:"Module to write. Default: the folder's name with .wasm, in the folder." placeholder:"FILE"`
}

// build is one build of a plugin: commands run in the folder and leave the module at out.
type build struct {
	dir, out string
	e        *env
	ctx      func() context.Context
}

// builder builds plugins in one language.
type builder struct {
	lang string
	// signs are the files that tell the language, as patterns.
	signs []string
	run   func(b *build) error
}

var builders = []builder{
	{"Rust", []string{"Cargo.toml"}, buildRust},
	{"Go", []string{"go.mod"}, buildGo},
	{"AssemblyScript", []string{"plugin.ts"}, buildAssemblyScript},
	{"Zig", []string{"main.zig"}, buildZig},
	{"C", []string{"*.c", "*.cpp"}, buildC},
}

// Run finds the language, builds and checks the module.
func (c *pluginBuildCmd) Run(ctx context.Context, e *env) (err error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	out := filepath.Join(dir, filepath.Base(dir)+".wasm")
	if c.Out != "" {
		if out, err = filepath.Abs(c.Out); err != nil {
			return err
		}
	}
	b := &build{dir: dir, out: out, e: e, ctx: func() context.Context { return ctx }}
	lang, err := b.language()
	if err != nil {
		return err
	}
	if err := lang.run(b); err != nil {
		return err
	}
	p, err := e.openLocal(ctx, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	return e.say("%s  %s  %s  admitted in %s\n", b.short(out), humanize.IBytes(uint64(p.size)),
		english.Plural(len(p.Description().Functions), "function", ""), p.loaded.Round(time.Millisecond))
}

func (b *build) language() (builder, error) {
	for _, l := range builders {
		for _, sign := range l.signs {
			if found, err := filepath.Glob(filepath.Join(b.dir, sign)); err == nil && len(found) > 0 {
				return l, nil
			}
		}
	}
	return builder{}, usagef("%s holds no plugin: there is no go.mod, Cargo.toml, plugin.ts, main.zig, C or C++ file; "+
		"\"tandem plugin new\" begins one", b.dir)
}

// short names a file from here where that is shorter.
func (b *build) short(file string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil && len(rel) < len(file) {
			return rel
		}
	}
	return file
}

// need finds the first of the programs, or says how to get them.
func need(how string, programs ...string) (string, error) {
	for _, p := range programs {
		if found, err := exec.LookPath(p); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not here: %s", programs[0], how)
}

// command prints and runs one command in the plugin's folder.
func (b *build) command(environment []string, program string, args ...string) error {
	line := append(append([]string{}, environment...), filepath.Base(program))
	_, _ = fmt.Fprintln(b.e.err, "+", strings.Join(append(line, args...), " "))
	cmd := exec.CommandContext(b.ctx(), program, args...) //nolint:gosec // the compiler of the user's own plugin
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, b.e.err, b.e.err
	cmd.Env = append(os.Environ(), environment...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s: %w", errSaid, filepath.Base(program), err)
	}
	return nil
}

func buildGo(b *build) error {
	program, err := need("install Go 1.24 or newer (https://go.dev/dl)", "go")
	if err != nil {
		return err
	}
	return b.command([]string{"GOOS=wasip1", "GOARCH=wasm"}, program, "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", b.out, ".")
}

const getClang = "install LLVM 14 or newer (Debian and Ubuntu: apt-get install clang lld; Fedora: dnf install clang lld; macOS: brew install llvm lld)"

// buildC compiles every C and C++ file but the tests, and links. It takes two steps: as a linker driver clang may run a
// wasm-opt that does not know the same instructions.
func buildC(b *build) error {
	clang, err := need(getClang, "clang")
	if err != nil {
		return err
	}
	linker, err := need(getClang, "wasm-ld", "wasm-ld-19", "wasm-ld-16", "wasm-ld-14")
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "tandem-build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	link := []string{"--no-entry", "--strip-all", "-o", b.out}
	for ending, flags := range map[string][]string{".c": {"-std=c11"}, ".cpp": {"-std=c++20", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"}} {
		files, err := filepath.Glob(filepath.Join(b.dir, "*"+ending))
		if err != nil {
			return err
		}
		for _, file := range files {
			name := filepath.Base(file)
			if strings.HasSuffix(name, "_test"+ending) {
				continue
			}
			object := filepath.Join(temp, name+".o")
			args := append([]string{"--target=wasm32", "-O3", "-mbulk-memory", "-msimd128", "-nostdlib", "-Wall", "-Itandem", "-c", name, "-o", object}, flags...)
			if err := b.command(nil, clang, args...); err != nil {
				return err
			}
			link = append(link, object)
		}
	}
	return b.command(nil, linker, link...)
}

var crateName = regexp.MustCompile(`(?m)^name\s*=\s*"([^"]+)"`)

const rustTarget = "wasm32-unknown-unknown"

func buildRust(b *build) error {
	cargo, err := need("install Rust (https://rustup.rs)", "cargo")
	if err != nil {
		return err
	}
	rustc, err := need("install Rust (https://rustup.rs)", "rustc")
	if err != nil {
		return err
	}
	found, err := exec.CommandContext(b.ctx(), rustc, "--print", "target-libdir", "--target", rustTarget).Output() //nolint:gosec // the user's rustc
	if _, missing := os.Stat(strings.TrimSpace(string(found))); err != nil || missing != nil {
		return fmt.Errorf("rustc has no library for %s: run \"rustup target add %s\" (Debian's Rust: apt-get install libstd-rust-dev-wasm32 lld)", rustTarget, rustTarget)
	}
	manifest, err := os.ReadFile(filepath.Join(b.dir, "Cargo.toml"))
	if err != nil {
		return err
	}
	name := crateName.FindSubmatch(manifest)
	if name == nil {
		return usagef("Cargo.toml has no name")
	}
	target := filepath.Join(b.dir, "target")
	if err := b.command(nil, cargo, "build", "--release", "--lib", "--target", rustTarget, "--target-dir", target); err != nil {
		return err
	}
	file := strings.ReplaceAll(string(name[1]), "-", "_") + ".wasm"
	return copyFile(filepath.Join(target, rustTarget, "release", file), b.out)
}

// ascFlags are how AssemblyScript plugins are compiled, but for the output.
var ascFlags = []string{"plugin.ts", "-O3", "--runtime", "stub", "--enable", "simd", "--use", "abort=tandem/assembly/guest/tandemAbort"}

func buildAssemblyScript(b *build) error {
	if _, err := need("install Node.js 20 or newer (https://nodejs.org; Debian and Ubuntu: apt-get install npm)", "node"); err != nil {
		return err
	}
	asc, err := exec.LookPath(filepath.Join(b.dir, "node_modules", ".bin", "asc"))
	if err != nil {
		return fmt.Errorf("the compiler is not installed: run \"npm install\" in %s", b.dir)
	}
	return b.command(nil, asc, append(append([]string{}, ascFlags...), "-o", b.out)...)
}

func buildZig(b *build) error {
	zig, err := need("install Zig 0.14 or newer (https://ziglang.org/download)", "zig")
	if err != nil {
		return err
	}
	err = b.command(nil, zig, "build-exe", "-fno-entry", "-rdynamic", "-fstrip", "-O", "ReleaseFast", "-target", "wasm32-freestanding",
		"-mcpu", "generic+bulk_memory+simd128", "--dep", "tandem", "-Mroot=main.zig", "-Mtandem=tandem/tandem.zig",
		"--name", "plugin", "-femit-bin="+b.out)
	if leftover := os.Remove(b.out + ".o"); leftover != nil && !errors.Is(leftover, os.ErrNotExist) {
		return errors.Join(err, leftover)
	}
	return err
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from) //nolint:gosec // what the compiler wrote
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644) //nolint:gosec // a module, for everybody to read
}
