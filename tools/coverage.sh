#!/bin/bash
# tools/coverage.sh BUILD: sums up what the tests run in BUILD (preset cov) covered of src/ and abi/.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:?which build?}
llvm-profdata-22 merge -sparse -o "$build/coverage.profdata" "$build"/profile/*.profraw
objects=()
for program in "$build/aeon" "$build"/tests/*/test_*; do
    [ -f "$program" ] && [ -x "$program" ] && objects+=(-object "$program")
done
llvm-cov-22 report "${objects[@]:1}" -instr-profile="$build/coverage.profdata" -show-region-summary=false src abi
