#!/bin/bash
# tools/toolchain.sh go|source:NAME...: puts into build/toolchain what Debian offers outside of the suites a machine
# usually lists:
#   go           the Go compiler of bookworm-backports, unpacked in build/toolchain/go
#                (GOROOT is usr/lib/go-1.23 below that)
#   source:NAME  the unpacked source package NAME of bookworm, in build/toolchain/src/NAME
# Nothing of the machine's package configuration is changed: apt runs with a source list, package lists and a cache of
# its own in the build tree, packages are unpacked and not installed. The mirror is the one the machine itself uses.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD/build/toolchain
go_version=1.23
suite=bookworm

say() { echo "toolchain: $*" >&2; }

# The address of the machine's own mirror, as apt understands its configuration (one-line and deb822 lists alike).
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 == suite && $3 == "main" { print $1; exit }'
}

private_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$top/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$top/apt/lists" -o Dir::Cache="$top/apt/cache" -o Debug::NoLocking=1 \
        -o APT::Sandbox::User="$(id -un)" "$@" </dev/null
}

# Writes the private source list once for this run and reads the package lists.
ready=
prepare() {
    [ -z "$ready" ] || return 0
    local uri options=
    uri=$(mirror)
    if [ -z "$uri" ]; then
        say "apt's configuration names no mirror of $suite main to take a private copy of packages from"
        exit 1
    fi
    if [ -f /usr/share/keyrings/debian-archive-keyring.gpg ]; then
        options='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
    fi
    mkdir -p "$top/apt/lists/partial" "$top/apt/cache/archives/partial"
    {
        echo "deb $options$uri $suite-backports main"
        echo "deb-src $options$uri $suite main"
    } >"$top/apt/sources.list"
    private_apt update
    ready=1
}

get_go() {
    [ ! -d "$top/go" ] || return 0
    prepare
    say "unpacking Go $go_version of $suite-backports"
    rm -rf "$top/.tmp-go"
    mkdir -p "$top/.tmp-go/deb" "$top/.tmp-go/root"
    (cd "$top/.tmp-go/deb" &&
        private_apt download "golang-$go_version-go/$suite-backports" "golang-$go_version-src/$suite-backports")
    local deb
    for deb in "$top"/.tmp-go/deb/*.deb; do
        dpkg -x "$deb" "$top/.tmp-go/root"
    done
    mv "$top/.tmp-go/root" "$top/go"
    rm -rf "$top/.tmp-go"
}

get_source() {
    local name=$1
    [ ! -d "$top/src/$name" ] || return 0
    prepare
    say "unpacking the source of $name"
    rm -rf "$top/src/.tmp-$name"
    mkdir -p "$top/src/.tmp-$name"
    (cd "$top/src/.tmp-$name" && private_apt source "$name" >/dev/null)
    mv "$(find "$top/src/.tmp-$name" -mindepth 1 -maxdepth 1 -type d)" "$top/src/$name"
    rm -rf "$top/src/.tmp-$name"
}

for want in "$@"; do
    case $want in
    go) get_go ;;
    source:*) get_source "${want#source:}" ;;
    *) say "what is $want?"; exit 2 ;;
    esac
done
