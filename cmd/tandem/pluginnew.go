package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tandem-serve/tandem/sdk"
	gosdk "github.com/tandem-serve/tandem/sdk/go"
)

type pluginNewCmd struct {
	Lang string `help:"Language: go, c, cpp, rust, as (AssemblyScript) or zig." enum:"go,c,cpp,rust,as,zig" required:""`
	Name string `arg:"" help:"Name of the plugin and of its folder."`
	Dir  string `help:"Folder to make. Default: the name, here."`
}

// starter is what a new plugin in one language begins with: the SDK, copied so that nothing else is needed, and its example.
type starter struct {
	copies []copied
	// texts replace others in the example; NAME stands for the plugin's name.
	texts []string
	// files are written beside the example.
	files map[string]string
	// test is the command that tests the plugin.
	test string
	// input is what a first run gives to the example.
	input string
}

// copied is a file or folder of the SDKs and where it goes.
type copied struct {
	from     fs.FS
	path, to string
	// example files are changed, others are not.
	example bool
}

var starters = map[string]starter{
	"go": {
		copies: []copied{
			{gosdk.Sources, "examples/shout", ".", true},
			{gosdk.Sources, "go.mod", "tandem-sdk/go.mod", false},
			{gosdk.Sources, "plugin", "tandem-sdk/plugin", false},
			{gosdk.Sources, "plugintest", "tandem-sdk/plugintest", false},
		},
		texts: []string{"// Command shout is the smallest", "// Command NAME is the smallest", "-o shout.wasm", "-o NAME.wasm", `Name: "shout", Version`, `Name: "NAME", Version`},
		files: map[string]string{
			"go.mod": "module NAME\n\ngo 1.24.0\n\nrequire github.com/tandem-serve/tandem/sdk/go v0.0.0\n\n" +
				"// The SDK is a copy, so that this builds anywhere.\nreplace github.com/tandem-serve/tandem/sdk/go => ./tandem-sdk\n",
		},
		test: "go test ./...", input: "shout -i text=hello --with '{\"marks\": 2}'",
	},
	"c": {
		copies: []copied{
			{sdk.Sources, "c/tandem.h", "tandem/tandem.h", false},
			{sdk.Sources, "c/tandem_models.h", "tandem/tandem_models.h", false},
			{sdk.Sources, "c/examples/vector.c", "plugin.c", true},
			{sdk.Sources, "c/examples/vector.h", "vector.h", true},
			{sdk.Sources, "c/examples/vector_test.c", "vector_test.c", true},
		},
		texts: []string{
			"\"../tandem.h\"", "\"tandem/tandem.h\"", "TDM_PLUGIN(\"vector\"", "TDM_PLUGIN(\"NAME\"", " `make` in the folder above builds it.", "",
			"vector.c natively: `make test` in the folder above.", "plugin.c natively.",
		},
		test: "cc vector_test.c -o vector_test -lm && ./vector_test", input: "add -i 'a=[3,4]' -i 'b=[1,0.5]' --with '{\"scale\": 2}'",
	},
	"cpp": {
		copies: append(cppHeaders(),
			copied{sdk.Sources, "c/examples/shout.cpp", "plugin.cpp", true},
			copied{sdk.Sources, "c/examples/shout.hpp", "shout.hpp", true},
			copied{sdk.Sources, "c/examples/shout_test.cpp", "shout_test.cpp", true},
		),
		texts: []string{
			`"../tdm`, `"tandem/tdm`, `TDM_CPP_PLUGIN("shout"`, `TDM_CPP_PLUGIN("NAME"`, " `make` in the folder above builds it.", "",
			"shout.cpp natively: `make test` in the folder above.", "plugin.cpp natively.",
		},
		test: "c++ -std=c++17 shout_test.cpp -o shout_test && ./shout_test", input: "shout -i text=hello --with '{\"marks\": 2}'",
	},
	"rust": {
		copies: []copied{
			{sdk.Sources, "rust/examples/shout", ".", true},
			{sdk.Sources, "rust/Cargo.toml", "tandem-plugin/Cargo.toml", false},
			{sdk.Sources, "rust/src", "tandem-plugin/src", false},
		},
		texts: []string{`name = "shout"`, `name = "NAME"`, `name: "shout"`, `name: "NAME"`, `path = "../.."`, `path = "tandem-plugin"`},
		files: map[string]string{
			".cargo/config.toml": "[target.wasm32-unknown-unknown]\nrustflags = [\"-C\", \"target-feature=+simd128\"]\n",
		},
		test: "cargo test", input: "shout -i text=hello --with '{\"marks\": 2}'",
	},
	"as": {
		copies: []copied{
			{sdk.Sources, "as/examples/shout", ".", true},
			{sdk.Sources, "as/assembly", "tandem/assembly", false},
			{sdk.Sources, "as/testing/plugin.mjs", "tandem/testing/plugin.mjs", false},
		},
		texts: []string{
			`"../../assembly"`, `"./tandem/assembly"`, `"../../testing/plugin.mjs"`, `"./tandem/testing/plugin.mjs"`, `"plugin.wasm"`, `"NAME.wasm"`,
			`plugin("shout"`, `plugin("NAME"`,
		},
		files: map[string]string{
			"package.json": "{\n  \"name\": \"NAME\",\n  \"private\": true,\n  \"type\": \"module\",\n  \"scripts\": {\"build\": \"asc " +
				strings.Join(ascFlags, " ") + " -o NAME.wasm\", \"test\": \"npm run build && node --test\"},\n" +
				"  \"devDependencies\": {\"assemblyscript\": \"0.28.20\"}\n}\n",
		},
		test: "npm install && npm test", input: "shout -i text=hello --with '{\"marks\": 2}'",
	},
	"zig": {
		copies: []copied{
			{sdk.Sources, "zig/examples/shout/main.zig", "main.zig", true},
			{sdk.Sources, "zig", "tandem", false},
		},
		texts: []string{`.name = "shout", .version`, `.name = "NAME", .version`},
		test:  "zig test --dep tandem -Mroot=main.zig -Mtandem=tandem/tandem.zig", input: "shout -i text=hello --with '{\"marks\": 2}'",
	},
}

// cppHeaders are the headers that a plugin in C++ includes.
func cppHeaders() []copied {
	var all []copied
	for _, name := range []string{
		"tandem.h", "tandem_models.h", "tdm.hpp", "tdm_config.hpp", "tdm_context.hpp", "tdm_json.hpp", "tdm_out.hpp", "tdm_port.hpp", "tdm_types.hpp",
	} {
		all = append(all, copied{sdk.Sources, "c/" + name, "tandem/" + name, false})
	}
	return all
}

// pluginName is what every language and the server take for a name.
var pluginName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// Run makes the folder.
func (c *pluginNewCmd) Run(e *env) error {
	if !pluginName.MatchString(c.Name) {
		return usagef("%s is no name for a plugin: small letters, digits, - and _, beginning with a letter", c.Name)
	}
	dir := c.Dir
	if dir == "" {
		dir = c.Name
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return usagef("%s exists and is not empty", dir)
	}
	s := starters[c.Lang]
	for _, part := range s.copies {
		if err := part.write(dir, s.replacer(c.Name, part.example)); err != nil {
			return err
		}
	}
	named := strings.NewReplacer("NAME", c.Name)
	files := map[string]string{"README.md": readme(s), ".gitignore": "*.wasm\ntarget/\nnode_modules/\n.zig-cache/\nvector_test\nshout_test\n"}
	maps.Copy(files, s.files)
	for name, text := range files {
		if err := writeFile(filepath.Join(dir, name), named.Replace(text)); err != nil {
			return err
		}
	}
	return e.say("%s is ready. Next:\n\n%s", dir, named.Replace(fmt.Sprintf("    cd %s\n%s", dir, steps(s))))
}

// replacer changes an example's texts to the new plugin's.
func (s *starter) replacer(name string, example bool) *strings.Replacer {
	if !example {
		return strings.NewReplacer()
	}
	texts := make([]string, len(s.texts))
	for i, t := range s.texts {
		texts[i] = strings.ReplaceAll(t, "NAME", name)
		if i%2 == 0 {
			texts[i] = t
		}
	}
	return strings.NewReplacer(texts...)
}

// write copies a file or folder, but for the tests of the SDK itself and its examples.
func (c copied) write(dir string, r *strings.Replacer) error {
	return fs.WalkDir(c.from, c.path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "examples" && name != c.path:
			return fs.SkipDir
		case d.IsDir() || !c.example && strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(c.from, name)
		if err != nil {
			return err
		}
		to := path.Join(c.to, strings.TrimPrefix(strings.TrimPrefix(name, c.path), "/"))
		return writeFile(filepath.Join(dir, filepath.FromSlash(to)), r.Replace(string(text)))
	})
}

func writeFile(file, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)) //nolint:gosec // sources, for everybody to read
}

// steps lists what comes next.
func steps(s starter) string {
	return fmt.Sprintf("    %s\n    tandem plugin build\n    tandem plugin run NAME.wasm %s\n    tandem plugin push NAME NAME.wasm\n", s.test, s.input)
}

func readme(s starter) string {
	return "# NAME\n\nA plugin for a Tandem server. Test it, build it, run it without a server, and push it:\n\n" + steps(s) +
		"\nThe SDK is a copy beside the plugin, so that nothing else is needed; `tandem plugin build` says what is missing of the compiler\nand how to get it.\n"
}
