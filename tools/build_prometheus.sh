#!/bin/sh
# Build Prometheus and promtool once, outside the tree, and print the folder of both.
#
# Without service discovery, which our tests don't need and which is most of the build. About twenty minutes on two cores
# the first time; binaries that are there are taken as they are. Exit code 3: neither there nor to be built here.
set -eu
version=v0.316.0 # the Go module of Prometheus 3.16.0
longest=40m
tools="${SPANLEDGER_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spanledger-tools}"
bin="$tools/bin"

if [ -x "$bin/prometheus" ] && [ -x "$bin/promtool" ]; then
    echo "$bin"
    exit 0
fi
if ! command -v go >/dev/null 2>&1; then
    echo "no Prometheus and promtool in $bin, and no Go to build them with" >&2
    exit 3
fi

mkdir -p "$bin"
work="$(mktemp -d "$tools/build.XXXXXX")"
trap 'rm -rf "$work"' EXIT INT TERM
echo "building Prometheus and promtool $version (about twenty minutes, once)" >&2
export CGO_ENABLED=0 GOFLAGS="-p=2${GOFLAGS:+ $GOFLAGS}"
module=github.com/prometheus/prometheus/cmd
if ! GOBIN="$work" timeout "$longest" go install -tags remove_all_sd,netgo \
    "$module/prometheus@$version" "$module/promtool@$version" >&2; then
    echo "Prometheus $version cannot be built here, or not within $longest" >&2
    exit 3
fi
# Renaming is atomic: of two builds at once the later one wins, and nobody runs half a file.
for one in promtool prometheus; do
    mv "$work/$one" "$bin/$one.$$"
    mv "$bin/$one.$$" "$bin/$one"
done
echo "$bin"
