#!/usr/bin/env python3
"""A run on disk is damaged: a bit flipped, a file cut. `verify` must say so each time, with a status that says so, and
without crashing; `replay`, `logs` and `trace` must not crash either.

    damage.py             a sample of places
    damage.py --all       every bit of every file, every length (some minutes)"""
import os
import random
import sys
import time

from box import Box, check, guest, main

ALL = "--all" in sys.argv[1:]
SAMPLE = 150
READERS = ("replay", "logs", "trace")


def files_of(box, run_id):
    top = box.run_dir(run_id)
    paths = [os.path.join(where, name) for where, _, names in os.walk(top) for name in names
             if name != "tier"]  # a remark beside the record: what became of the compiled tier
    return sorted(p for p in paths if os.path.getsize(p))


def make_run(box):
    box.aeon("run", "-q", "--dir", ".:/data", guest("exit.wasm"), "3", expect=3)
    run_id = box.last_id()
    box.aeon("verify", run_id, expect=0)
    return run_id


def sound(result):
    return b"Sanitizer" not in result.err and b"aeon: bug" not in result.err


def look(box, run_id, what, chance):
    verify = box.aeon("verify", run_id)
    check(verify.status in (1, 2) and sound(verify), f"{what}: verify ended with {verify.status}: {verify}")
    check(len(verify.out + verify.err) > 20, f"{what}: verify does not say what is wrong: {verify}")
    reader = chance.choice(READERS)
    result = box.aeon(reader, run_id)
    check(result.status >= 0 and sound(result), f"{what}: {reader} crashed: {result}")


def places(size, chance):
    if ALL:
        return range(size)
    return sorted(chance.sample(range(size), min(size, SAMPLE)))


def flips():
    chance, n = random.Random(7), 0
    with Box() as box:
        run_id = make_run(box)
        for path in files_of(box, run_id):
            whole = open(path, "rb").read()
            for at in places(len(whole), chance):
                for bit in range(8) if ALL else [chance.randrange(8)]:
                    with open(path, "r+b") as f:
                        f.seek(at)
                        f.write(bytes([whole[at] ^ 1 << bit]))
                    look(box, run_id, f"{os.path.basename(path)}, byte {at}, bit {bit}", chance)
                    n += 1
            with open(path, "r+b") as f:
                f.write(whole)
        box.aeon("verify", run_id, expect=0)
    check(n >= 100, f"only {n} bits flipped")
    return f"{n} bits"


def cuts():
    chance, n = random.Random(8), 0
    with Box() as box:
        run_id = make_run(box)
        for path in files_of(box, run_id):
            whole = open(path, "rb").read()
            for length in places(len(whole), chance):
                with open(path, "wb") as f:
                    f.write(whole[:length])
                look(box, run_id, f"{os.path.basename(path)} cut to {length} bytes", chance)
                n += 1
            with open(path, "wb") as f:
                f.write(whole)
        box.aeon("verify", run_id, expect=0)
    check(n >= 100, f"only {n} lengths")
    return f"{n} lengths"


def tail():
    """The part of a run that is not compressed yet, of an aeon that was killed: what is flipped in a record is an
    error; behind the last record it is at least told."""
    chance, errors = random.Random(10), 0
    with Box() as box:
        with open(os.path.join(box.root, "output"), "wb") as out:
            p = box.start("run", "-q", guest("hostile.wasm"), "flood", stdout=out)
            while os.path.getsize(out.name) < 20000:
                check(p.poll() is None, f"ended by itself with {p.returncode}")
                time.sleep(0.01)
            p.kill()
            p.wait()
        run_id = box.last_id()
        path = os.path.join(box.run_dir(run_id), "tail")
        whole = open(path, "rb").read()
        used = len(whole.rstrip(b"\0"))
        for i in range(SAMPLE):
            at = chance.randrange(used) if i % 10 else chance.randrange(used, len(whole))
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(bytes([whole[at] ^ 1 << chance.randrange(8)]))
            verify = box.aeon("verify", run_id)
            told = b"not finished" in verify.out and at >= used
            check(verify.status == 1 or told, f"byte {at} of {used} used: {verify}")
            errors += verify.status == 1
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(whole[at:at + 1])
        box.aeon("verify", run_id, expect=0)
    return f"{errors} of {SAMPLE} errors"


def module():
    """The module in the store is part of what verify looks at."""
    with Box() as box:
        run_id = make_run(box)
        objects = os.path.join(box.home, "objects")
        paths = [os.path.join(where, name) for where, _, names in os.walk(objects) for name in names]
        check(len(paths) == 1, f"one module expected: {paths}")
        whole = open(paths[0], "rb").read()
        os.chmod(paths[0], 0o600)
        for at in random.Random(9).sample(range(len(whole)), 20):
            with open(paths[0], "wb") as f:
                f.write(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
            verify = box.aeon("verify", run_id)
            check(verify.status in (1, 2), f"byte {at} of the module: {verify}")
            replay = box.aeon("replay", run_id, expect=125)
            check(b"bye" not in replay.out, f"a damaged module was run: {replay}")
        os.remove(paths[0])
        verify = box.aeon("verify", run_id)
        check(verify.status in (1, 2), f"the module is gone: {verify}")
        box.aeon("replay", run_id, expect=125)


if __name__ == "__main__":
    main({"flips": flips, "cuts": cuts, "tail": tail, "module": module})
