#!/bin/bash
# tools/demo.sh: a run of CPython in the sandbox, looked at and replayed. Shows each command before what it prints.
# The store is one of its own, in build/demo, so that nothing of yours is touched.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD
export AEON_HOME=$top/build/demo/home
export PATH=$top/build/release:$PATH
rm -rf build/demo
mkdir -p build/demo
cp -r examples/demo/. build/demo/
ln -s "$top/build/guests/python.wasm" build/demo/python.wasm
cd build/demo

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
heading() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }

# Shows and runs a command line; its exit status must be the one expected.
show() {
    local wanted=$1 status=0
    printf '%s$ %s%s\n' "$bold" "$2" "$plain"
    bash -c "$2" </dev/null || status=$?
    if [ "$status" != "$wanted" ]; then
        echo "demo: that ended with $status, not with $wanted" >&2
        exit 1
    fi
}

heading 'CPython in the sandbox: it sees one directory, read-only, and nothing else. It ends with 3, and so does aeon.'
show 3 'aeon run --dir ./data:/data:ro --dir .:/app:ro python.wasm /app/report.py world'

heading 'It was recorded.'
show 0 'aeon ls'
show 0 'aeon show last'

heading 'Every call across its edge, decoded. The last ones:'
show 0 'aeon trace last | tail -n 12 | cut -c 1-150'

heading 'Again, without the machine: the file is gone, and yet the same time, the same prize, the same order.'
show 0 'mv data data.gone'
show 3 'aeon replay last'

heading 'To the last bit?'
show 0 'aeon replay last >second; aeon logs last --stdout | cmp - second && echo same'
show 0 'aeon verify last'
