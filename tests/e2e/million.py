#!/usr/bin/env python3
"""A journal of more than a million records: `trace --from N` finds its place without reading what lies before it. The
times are printed, not asserted."""
import time

from box import Box, check, guest, main

WRITES = 500_000  # a call and a return each


def million():
    with Box() as box:
        box.aeon("run", "-q", "--dir", ".:/data", guest("writes.wasm"), str(WRITES), "/data/out", expect=0)
        run = box.runs()[-1]
        check(run["records"] >= 2 * WRITES, f"{run['records']} records")
        times = []
        for n in (0, 1000, run["records"] // 2, run["records"] - 10):
            start = time.monotonic()
            trace = box.aeon("trace", run["id"], "--json", "--from", str(n), "--count", "3", expect=0)
            times.append(f"{n}: {(time.monotonic() - start) * 1000:.0f} ms")
            lines = trace.out.splitlines()
            check(len(lines) == 3, f"3 lines expected: {trace}")
        beyond = box.aeon("trace", run["id"], "--from", str(run["records"] + 1))
        check(beyond.status == 2 and not beyond.out, f"beyond the end: {beyond}")
        return f"{run['records']} records, {run['size_bytes']} bytes; trace --from " + ", ".join(times)


if __name__ == "__main__":
    main({"million": million})
