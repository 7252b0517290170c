#!/usr/bin/env bash
# modules.sh build|check SDK...: builds the committed modules of an SDK (c, cpp, rust, zig, as) from their sources, or tells
# whether they are what the sources build. Only the pinned compilers give the same bytes: clang and wasm-ld 14 for C and C++, and
# what toolchains.sh installs for the others. Where they are missing, check says "skipped" and why, and build fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

verb=$1
shift
cache=$PWD/../.cache/sdk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The modules of each SDK, without their endings.
c_modules=(c/examples/vector conformance/c/conformance conformance/c/wrong)
cpp_modules=(c/examples/shout conformance/cpp/conformance conformance/cpp/wrong)
rust_modules=(conformance/rust/src/conformance conformance/rust/src/wrong)
zig_modules=(conformance/zig/conformance conformance/zig/wrong)
as_modules=(conformance/as/conformance conformance/as/wrong)

# missing_X prints what is missing for SDK X.
missing_c() {
	command -v clang >/dev/null && command -v wasm-ld >/dev/null || { echo "clang and wasm-ld are not both here (Debian: apt-get install clang lld)"; return; }
	clang --version | grep -q 'clang version 14\.' || echo "the committed modules were built with clang 14, this is $(clang --version | head -n 1)"
}
missing_cpp() { missing_c; }
missing_pinned() { [ -x "$cache/$1/bin/$2" ] || echo "the pinned $2 is not here: sdk/toolchains.sh $1"; }
missing_rust() {
	command -v wasm-ld >/dev/null || { echo "wasm-ld is not here (Debian: apt-get install lld)"; return; }
	wasm-ld --version | grep -q 'LLD 14\.' || { echo "the committed modules were linked with LLD 14, this is $(wasm-ld --version)"; return; }
	missing_pinned rust rustc
}
missing_zig() { missing_pinned zig zig; }
missing_as() { missing_pinned as asc; }

# build_X SOURCE OUT builds one module of SDK X; SOURCE has no ending.
build_c() {
	clang --target=wasm32 -O3 -mbulk-memory -msimd128 -nostdlib -std=c11 -Wall -Wextra -Werror -Ic -c "$1.c" -o "$work/o"
	wasm-ld --no-entry --strip-all "$work/o" -o "$2"
}
build_cpp() {
	clang --target=wasm32 -O3 -mbulk-memory -msimd128 -nostdlib -std=c++17 -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Ic -c "$1.cpp" -o "$work/o"
	wasm-ld --no-entry --strip-all "$work/o" -o "$2"
}
build_rust() {
	local flags=(--edition 2021 --target wasm32-unknown-unknown -C opt-level=3 -C panic=abort -C linker=wasm-ld -C linker-flavor=wasm-ld)
	local library=$work/libtandem_plugin.rlib
	[ -f "$library" ] || "$cache/rust/bin/rustc" "${flags[@]}" --crate-type rlib --crate-name tandem_plugin rust/src/lib.rs -o "$library"
	"$cache/rust/bin/rustc" "${flags[@]}" --crate-type cdylib -C lto=fat -C strip=symbols --extern "tandem_plugin=$library" "$1.rs" -o "$2"
}
build_zig() {
	ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache "$cache/zig/bin/zig" build-exe --cache-dir "$work/zig" -fno-entry -rdynamic -fstrip -O ReleaseFast \
		-target wasm32-freestanding -mcpu generic+bulk_memory+simd128 --dep tandem "-Mroot=$1.zig" -Mtandem=zig/tandem.zig \
		--name module "-femit-bin=$2"
}
build_as() {
	"$cache/as/bin/asc" "$1.ts" -o "$2" -O3 --runtime stub --enable simd --use abort=as/assembly/guest/tandemAbort
}

status=0
for sdk in "$@"; do
	missing=$("missing_$sdk")
	if [ -n "$missing" ]; then
		[ "$verb" = build ] && status=1
		echo "skipped: $missing"
		continue
	fi
	list="${sdk}_modules[@]"
	for module in "${!list}"; do
		committed=${module/\/src\//\/}.wasm
		"build_$sdk" "$module" "$work/module.wasm"
		chmod 644 "$work/module.wasm"
		if [ "$verb" = build ]; then
			cp "$work/module.wasm" "$committed"
		elif ! cmp -s "$work/module.wasm" "$committed"; then
			echo "$committed is not what its source builds: run make sdk-modules"
			status=1
		fi
	done
done
exit $status
