#!/usr/bin/env bash
# test.sh SDK...: runs the tests that each SDK (c, cpp, rust, zig, as) has in its own language, with the compilers that are here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache=$(cd .. && mkdir -p .cache/sdk && cd .cache/sdk && pwd -P)

test_c() {
	command -v cc >/dev/null || { echo "c: skipped: no C compiler"; return; }
	make -s -C c test-c CC=cc BUILD="$cache/c-test"
}
test_cpp() {
	command -v c++ >/dev/null || { echo "cpp: skipped: no C++ compiler"; return; }
	make -s -C c test-cpp CXX=c++ BUILD="$cache/c-test"
	command -v clang++ >/dev/null || { echo "cpp: newer standards skipped: no clang++"; return; }
	local source
	for source in c/conformance.c cpp/conformance.cpp; do
		clang++ --target=wasm32 -x c++ -std=c++20 -fno-exceptions -fno-rtti -O2 -nostdlib -Wall -Wextra -Werror -Ic \
			-c "conformance/$source" -o "$cache/c-test/conformance.o"
	done
}
test_rust() {
	command -v cargo >/dev/null || { echo "rust: skipped: no cargo (https://rustup.rs)"; return; }
	CARGO_TARGET_DIR=$cache/rust-target cargo test --quiet --offline --manifest-path rust/Cargo.toml
	CARGO_TARGET_DIR=$cache/rust-target cargo test --quiet --offline --manifest-path rust/examples/shout/Cargo.toml
}
test_zig() {
	local zig=zig
	command -v zig >/dev/null || zig=$cache/zig/bin/zig
	[ -x "$(command -v "$zig")" ] || { echo "zig: skipped: sdk/toolchains.sh zig"; return; }
	export ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache
	"$zig" test --cache-dir "$cache/zig-test" zig/tandem.zig
	"$zig" test --cache-dir "$cache/zig-test" --dep tandem -Mroot=zig/examples/shout/main.zig -Mtandem=zig/tandem.zig
}
test_as() {
	[ -x "$cache/as/bin/asc" ] || { echo "as: skipped: sdk/toolchains.sh as"; return; }
	mkdir -p "$cache/as-test"
	"$cache/as/bin/asc" as/examples/shout/plugin.ts -o "$cache/as-test/shout.wasm" -O3 --runtime stub --use abort=as/assembly/guest/tandemAbort
	PLUGIN=$cache/as-test/shout.wasm node --test as/examples/shout/ as/testing/
}

for sdk in "$@"; do
	echo "== $sdk"
	"test_$sdk"
done
