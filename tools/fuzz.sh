#!/bin/bash
# tools/fuzz.sh SECONDS [TARGET...]: runs the fuzz targets of build/fuzz one after the other, that long each. What they
# learn is kept in build/fuzz/corpus; a finding ends up in build/fuzz/findings and in the exit status.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?how many seconds each?}
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for program in build/fuzz/fuzz/fuzz_*; do
        [ -x "$program" ] && targets+=("${program##*/fuzz_}")
    done
fi
failed=()
for target in "${targets[@]}"; do
    mkdir -p "build/fuzz/corpus/$target" build/fuzz/findings "fuzz/corpus/$target"
    echo "== $target: $seconds s from $(find "fuzz/corpus/$target" -type f | wc -l) seeds"
    "build/fuzz/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$target-" "build/fuzz/corpus/$target" "fuzz/corpus/$target" \
        >"build/fuzz/$target.log" 2>&1 || failed+=("$target")
    grep -E '^(stat::number_of_executed_units|SUMMARY|==.*ERROR)' "build/fuzz/$target.log" || true
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "findings in: ${failed[*]} (build/fuzz/findings, build/fuzz/*.log)"
    exit 1
fi
echo "no findings"
