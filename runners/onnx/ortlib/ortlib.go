// Package ortlib says which ONNX Runtime this project is built for and where its shared library lies. It has no
// dependencies, so that the set-up program can import it without cgo.
package ortlib

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the ONNX Runtime that `make setup` fetches and that the tests run on.
const Version = "1.30.0"

// Env is the environment variable whose value, the path of a library, wins over the one in the cache.
const Env = "ONNXRUNTIME_LIB"

// HowTo tells a person how to get the library; errors that miss it end with these words.
const HowTo = "run `make setup`, or set " + Env + " to the path of libonnxruntime"

// Path returns where the set-up program puts the library of this machine's kind below the project folder root.
func Path(root string) string {
	return filepath.Join(root, ".cache", "onnxruntime", Version, runtime.GOOS+"-"+runtime.GOARCH, FileName())
}

// FileName returns the library's file name on this operating system.
func FileName() string {
	if runtime.GOOS == "darwin" {
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// Find returns the library's path: the value of Env, got through getenv, when it is set, else the file at [Path] in dir
// or the nearest folder above it that has one. The error wraps fs.ErrNotExist and says how to get the library.
func Find(getenv func(string) string, dir string) (string, error) {
	if lib := getenv(Env); lib != "" {
		if err := checkFile(lib); err != nil {
			return "", fmt.Errorf("%s: %w", Env, err)
		}
		return lib, nil
	}
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find ONNX Runtime: %w", err)
	}
	for dir = start; ; dir = filepath.Dir(dir) {
		if lib := Path(dir); checkFile(lib) == nil {
			return lib, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("ONNX Runtime %s is not in a .cache folder at or above %s: %s: %w", Version, start, HowTo, fs.ErrNotExist)
		}
	}
}

func checkFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("not a file")}
	}
	return nil
}

// SwiftShaderFiles are a Vulkan driver that runs on the CPU, its description for Vulkan's loader, and that loader. With
// them the tests have WebGPU on every machine.
func SwiftShaderFiles() []string {
	return []string{"libvk_swiftshader.so", "vk_swiftshader_icd.json", "libvulkan.so.1"}
}

// SwiftShaderDir returns where the set-up program puts them below the project folder root.
func SwiftShaderDir(root string) string {
	return filepath.Join(root, ".cache", "swiftshader", runtime.GOOS+"-"+runtime.GOARCH)
}

// SwiftShader returns what the environment of a process must say for Vulkan to be found in the nearest folder at or above
// dir. The error wraps fs.ErrNotExist.
func SwiftShader(dir string) (env map[string]string, err error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find SwiftShader: %w", err)
	}
	for dir = start; ; dir = filepath.Dir(dir) {
		files := SwiftShaderDir(dir)
		if checkFile(filepath.Join(files, SwiftShaderFiles()[0])) == nil {
			return map[string]string{"LD_LIBRARY_PATH": files, "VK_ICD_FILENAMES": filepath.Join(files, "vk_swiftshader_icd.json")}, nil
		}
		if dir == filepath.Dir(dir) {
			return nil, fmt.Errorf("SwiftShader is not in a .cache folder at or above %s: run `make swiftshader`: %w", start, fs.ErrNotExist)
		}
	}
}
