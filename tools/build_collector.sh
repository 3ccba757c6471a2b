#!/bin/sh
# Build the Collector of collector-config/builder-config.yaml once, outside the tree, and print the path of the binary.
#
# The binary is named after the manifest's digest, so a changed manifest is built anew and an old checkout keeps its own.
# About ten minutes and 2 GB of download and build cache the first time. Exit code 3: neither there nor to be built here.
set -eu
longest=30m
manifest="$(cd "$(dirname "$0")/.." && pwd)/collector-config/builder-config.yaml"
builder_version="$(sed -n 's/^  version: //p' "$manifest")"
tools="${SPANLEDGER_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spanledger-tools}"
digest="$(grep -v '^ *#' "$manifest" | cksum | cut -d ' ' -f 1)"
binary="$tools/bin/otelcol-$builder_version-$digest"

if [ -x "$binary" ]; then
    echo "$binary"
    exit 0
fi
if ! command -v go >/dev/null 2>&1; then
    echo "no Collector at $binary, and no Go to build it with" >&2
    exit 3
fi

mkdir -p "$tools/bin"
work="$(mktemp -d "$tools/build.XXXXXX")"
trap 'rm -rf "$work"' EXIT INT TERM
echo "building the Collector $builder_version (about ten minutes, once)" >&2
export CGO_ENABLED=0 GOFLAGS="-p=2${GOFLAGS:+ $GOFLAGS}"
sed "s|^  output_path:.*|  output_path: $work/out|" "$manifest" >"$work/manifest.yaml"
if ! GOBIN="$work" timeout "$longest" go install "go.opentelemetry.io/collector/cmd/builder@v$builder_version" >&2 ||
    ! timeout "$longest" "$work/builder" --config "$work/manifest.yaml" >&2; then
    echo "the Collector $builder_version cannot be built here, or not within $longest" >&2
    exit 3
fi
# Renaming is atomic: of two builds at once the later one wins, and nobody runs half a file.
mv "$work/out/$(sed -n 's/^  name: //p' "$manifest")" "$binary.$$"
mv "$binary.$$" "$binary"
echo "$binary"
