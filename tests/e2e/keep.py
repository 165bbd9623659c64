#!/usr/bin/env python3
"""--keep-last: a run that never ends drops its oldest segments, and what is kept stands alone: it verifies, replays
from the snapshot it begins with, and shows what was printed since."""
import json
import signal
import time

from box import Box, check, guest, main

PATIENCE_S = 120


def keep(bound):
    def case():
        with Box() as box:
            path = box.root + "/output"
            with open(path, "wb") as out:
                run = box.start("run", "-q", "--keep-last", bound, guest("hostile.wasm"), "flood", stdout=out)
                shown, deadline = None, time.monotonic() + PATIENCE_S
                while not shown or shown["segments"][0]["first_record"] == 0:
                    check(run.poll() is None, f"ended by itself with {run.returncode}")
                    check(time.monotonic() < deadline, f"nothing was dropped in {PATIENCE_S} s: {shown}")
                    time.sleep(0.1)
                    if box.runs():
                        shown = json.loads(box.aeon("show", "last", "--json", expect=0).out)
                run.send_signal(signal.SIGTERM)
                run.wait()
            check(run.returncode == 128 + signal.SIGTERM, f"ended with {run.returncode}")
            printed = open(path, "rb").read()
            shown = json.loads(box.aeon("show", "last", "--json", expect=0).out)
            first = shown["segments"][0]["first_record"]
            check(first > 0 and all(s["snapshot"] and s["complete"] for s in shown["segments"]), f"segments: {shown}")
            box.aeon("verify", "last", expect=0)
            logs = box.aeon("logs", "last", "--stdout", expect=0)
            check(0 < len(logs.out) < len(printed), f"{len(logs.out)} bytes in the journal, {len(printed)} printed")
            check(printed.endswith(logs.out), "logs is not the end of what was printed")
            check(f"record {first}".encode() in logs.err, f"logs does not say that it is not all: {logs.err}")
            replay = box.replay_elsewhere("last")
            check(replay.status == run.returncode and replay.out == logs.out,
                  f"replay ended with {replay.status}, {len(replay.out)} of {len(logs.out)} bytes: {replay.err}")
            return f"{len(shown['segments'])} segments from record {first}, {len(logs.out)} of {len(printed)} bytes"
    return case


if __name__ == "__main__":
    main({"size": keep("200KiB"), "time": keep("1s")})
