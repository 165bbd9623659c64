#!/usr/bin/env python3
"""`logs -f` shows the lines of a running guest as they come, and ends when the run ends. How late they are is measured
and printed; only that they come while the guest still runs is asserted, and in order."""
import subprocess
import time

from box import Box, check, guest, main

LINES, PAUSE_MS = 20, 60


def follow():
    with Box() as box:
        run = box.start("run", "-q", guest("ticker.wasm"), str(LINES), str(PAUSE_MS), stdout=subprocess.PIPE)
        first = run.stdout.readline()  # from here on there is a run to follow
        logs = box.start("logs", "-f", "last", "--stdout", stdout=subprocess.PIPE)
        shown, late, live = [first], [], 0
        seen = [logs.stdout.readline()]
        for line in run.stdout:
            at = time.monotonic()
            shown.append(line)
            seen.append(logs.stdout.readline())
            late.append(time.monotonic() - at)
            live += run.poll() is None
        rest = logs.stdout.read()
        check(run.wait() == 0 and logs.wait(timeout=30) == 0, f"ended with {run.returncode}, {logs.returncode}")
        check(seen == shown and not rest, f"printed {shown}, followed {seen} {rest!r}")
        check(len(shown) == LINES, f"{len(shown)} lines")
        check(live > LINES // 2, f"only {live} lines were seen while the guest ran")
        return f"{LINES} lines, at most {max(late) * 1000:.0f} ms late"


def follow_finished():
    with Box() as box:
        live = box.aeon("run", "-q", guest("exit.wasm"), "3", expect=3)
        logs = box.aeon("logs", "-f", "last", expect=0)
        check(logs.out == live.out and logs.err == live.err, f"not what was printed: {logs}")


def follow_killed():
    """The one that is followed is killed: following ends."""
    with Box() as box:
        run = box.start("run", "-q", guest("ticker.wasm"), "1000", "20", stdout=subprocess.PIPE)
        run.stdout.readline()
        logs = box.start("logs", "-f", "last", stdout=subprocess.PIPE)
        check(logs.stdout.readline() == b"line 1\n", "the first line")
        run.kill()
        run.wait()
        logs.stdout.read()
        check(logs.wait(timeout=30) == 0, f"ended with {logs.returncode}")


if __name__ == "__main__":
    main({"follow": follow, "follow-finished": follow_finished, "follow-killed": follow_killed})
