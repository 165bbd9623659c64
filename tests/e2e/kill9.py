#!/usr/bin/env python3
"""aeon is killed (SIGKILL) at random moments while its guest writes. Each time: the run lists as unfinished, verifies,
replays up to its last finished call, and every byte that reached the guest's output is in the journal.

    kill9.py [MOMENTS [SEED]]     100 moments and seed 1, unless given"""
import os
import random
import signal
import sys
import time

from box import Box, Failure, check, guest, main

MOMENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
sys.argv[1:] = []

LISTED, REPLAYED = "unfinished", 128 + signal.SIGKILL


def one_moment(box, seconds):
    """Returns how many bytes came out before the end."""
    path = os.path.join(box.root, "output")
    with open(path, "wb") as out:
        p = box.start("run", "-q", guest("hostile.wasm"), "flood", stdout=out)
        time.sleep(seconds)
        check(p.poll() is None, f"the guest ended by itself with {p.returncode}")
        p.send_signal(signal.SIGKILL)
        p.wait()
    with open(path, "rb") as f:
        output = f.read()
    runs = box.runs()
    if not runs:
        check(not output, f"{len(output)} bytes of output and no run")
        return 0
    run = runs[-1]
    check(run["state"] == LISTED, f"listed as {run['state']}, not {LISTED}")
    verify = box.aeon("verify", run["id"], expect=0)
    check(b"unfinished" in verify.out + verify.err, f"verify does not say that it is unfinished: {verify}")
    logs = box.aeon("logs", run["id"], "--stdout", expect=0).out
    check(logs.startswith(output),
          f"{len(output)} bytes were written, the journal's {len(logs)} bytes do not begin with them")
    replay = box.aeon("replay", run["id"])
    check(replay.status == REPLAYED, f"status {REPLAYED} expected: {replay.status} {replay.err!r}")
    check(replay.out.startswith(output) and logs.startswith(replay.out),
          f"replay printed {len(replay.out)} bytes of {len(logs)} in the journal, {len(output)} were written")
    box.aeon("rm", run["id"], expect=0)
    return len(output)


def moments():
    chance = random.Random(SEED)
    most = 0
    with Box() as box:
        for i in range(MOMENTS):
            seconds = chance.uniform(0, 0.02) if i % 3 == 0 else chance.uniform(0.02, 0.25)
            try:
                most = max(most, one_moment(box, seconds))
            except Failure as e:
                raise Failure(f"moment {i} of seed {SEED}, after {seconds * 1000:.1f} ms: {e}") from e
    check(most > 0, "nothing was ever written: this proves nothing")
    return f"{MOMENTS} moments, at most {most} bytes written"


if __name__ == "__main__":
    main({"moments": moments})
