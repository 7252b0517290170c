#!/usr/bin/env bash
# Tells whether the committed modules are what the sources build. It needs clang and wasm-ld 14, which built them; other
# versions give other bytes, so the check is skipped with them.
set -euo pipefail
cd "$(dirname "$0")"

clang=${CLANG:-clang} linker=${WASM_LD:-wasm-ld}
if ! command -v "$clang" >/dev/null || ! command -v "$linker" >/dev/null; then
	echo "skipped: $clang and $linker are not both here (Debian and Ubuntu: apt-get install clang lld)"
	exit 0
fi
if ! "$clang" --version | grep -q 'clang version 14\.'; then
	echo "skipped: the committed modules were built with clang 14, this is $("$clang" --version | head -n 1)"
	exit 0
fi
status=0
for module in examples/vector.wasm ../conformance/c/conformance.wasm; do
	fresh=$(mktemp -d)
	source=${module%.wasm}.c
	"$clang" --target=wasm32 -O3 -mbulk-memory -msimd128 -nostdlib -std=c11 -Wall -Wextra -Werror -I. -c "$source" -o "$fresh/o"
	"$linker" --no-entry --strip-all "$fresh/o" -o "$fresh/wasm"
	if ! cmp -s "$fresh/wasm" "$module"; then
		echo "$module is not what $source builds: run make in sdk/c"
		status=1
	fi
	rm -r "$fresh"
done
exit $status
