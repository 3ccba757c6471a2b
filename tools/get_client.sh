#!/bin/sh
# Get a real Claude Code client from its npm package once, outside the tree, and print the path of the binary.
#
# CLIENT_VERSION chooses the release. Exit code 3: it cannot be had here (no npm, no package, no such platform).
set -eu
version="${CLIENT_VERSION:-2.1.330}"
tools="${SPANLEDGER_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spanledger-tools}"
binary="$tools/bin/claude-$version"

if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "the client's package for $(uname -sm) is not known here, only that for Linux x86_64" >&2
    exit 3
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "no client at $binary, and no npm to get it with" >&2
    exit 3
fi

mkdir -p "$tools/bin"
work="$(mktemp -d "$tools/client.XXXXXX")"
trap 'rm -rf "$work"' EXIT INT TERM
package="@anthropic-ai/claude-code-linux-x64@$version"
if ! (cd "$work" && npm pack --silent "$package" >name.txt 2>error.txt); then
    echo "npm cannot get $package: $(head -3 "$work/error.txt" | tr '\n' ' ')" >&2
    exit 3
fi
tar -xzf "$work/$(tail -1 "$work/name.txt")" -C "$work"
# Renaming is atomic: nobody runs half a file.
mv "$work/package/claude" "$binary.$$"
chmod +x "$binary.$$"
mv "$binary.$$" "$binary"
echo "$binary"
