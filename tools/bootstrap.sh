#!/bin/bash
# tools/bootstrap.sh SET...: installs the Debian packages of the named sets that dpkg does not know as installed.
#   build  what `make` needs      demo  what `make demo` needs besides      test  what `make test` needs besides
# Where all are there it asks nobody and changes nothing. Programs that may come from elsewhere (node) are taken as
# they are. AEON_NO_BOOTSTRAP=1 skips it all.
set -euo pipefail

build=(cmake ninja-build pkg-config ccache clang-22 lld-22 llvm-22-dev libuv1-dev libzstd-dev libssl-dev
    libcmocka-dev libyaml-dev libboost-context-dev)
demo=(ca-certificates)
test=(build-essential git python3 ca-certificates
    libclang-rt-22-dev llvm-22 clang-format-22
    wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 libc++abi-22-dev-wasm32
    rustc libstd-rust-dev-wasm32 lld-14
    wabt binaryen
    curl wrk openssl)

say() { echo "bootstrap: $*" >&2; }

[ -z "${AEON_NO_BOOTSTRAP:-}" ] || exit 0
wanted=()
for set in "$@"; do
    case $set in
    build) wanted+=("${build[@]}") ;;
    demo) wanted+=("${demo[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    *) say "no such set: $set"; exit 2 ;;
    esac
    # Guests come as npm packages; any node from 18 on will do, with whatever npm belongs to it.
    if [ "$set" != build ] && ! command -v npm >/dev/null; then
        wanted+=(nodejs npm)
    fi
done

if ! command -v apt-get >/dev/null; then
    say "this is not a Debian; going on with what is installed. Wanted, by Debian's names: ${wanted[*]}"
    exit 0
fi

installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^ii *//p' || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "missing packages, and neither root nor sudo to install them. As root: apt-get install ${missing[*]}"
        exit 1
    fi
    root=(sudo)
fi

say "installing ${missing[*]}"
apt() {
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
apt update || say "apt-get update failed; trying with the package lists there are"

# A package this machine's sources do not offer is left out aloud. For the compiler and for LLVM there are substitutes;
# where there is none, the step that needs it says so.
offered=()
for package in "${missing[@]}"; do
    if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
        offered+=("$package")
        continue
    fi
    say "no package source of this machine offers $package (clang-22 and llvm-22 come from bookworm-security):" \
        "going on without"
    if [ "$package" = clang-22 ]; then
        offered+=(gcc libc6-dev)
    elif [ "$package" = llvm-22-dev ] && apt-cache show --no-all-versions llvm-19-dev >/dev/null 2>&1; then
        offered+=(llvm-19-dev)
    fi
done
[ ${#offered[@]} -eq 0 ] || apt install -y --no-install-recommends "${offered[@]}" >/dev/null
