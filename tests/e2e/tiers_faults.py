#!/usr/bin/env python3
"""What the compiled tier needs and does not get: no compiler, one that is killed, a cache that is damaged, that is
somebody else's, that two write to at once. Runs are right whatever happens, and told of where there is something to
tell.

    tiers_faults.py [CASE...]"""
import os
import shutil
import signal
import subprocess
import time

from box import AEON, Box, check, guest, main
from net import PATIENCE, Running
from tiers import no_compiler, same, tier, trace

HELLO = b"hello, world\n"


def case(function):
    def run():
        if lacks := no_compiler():
            return lacks
        with Box() as box:
            return function(box)
    return run


def hello(box, mode="compiled"):
    """Runs it; what is told of its functions, and on standard error."""
    live = box.aeon("run", "--tier", mode, guest("hello.wasm"), expect=0)
    check(live.out == HELLO, f"{live}")
    return tier(box, box.last_id()), live.err


def alone():
    """aeon without its compiler: it says so, interprets, and fails only where it is told to compile."""
    with Box() as box:
        program = os.path.join(box.root, "aeon")
        shutil.copy(AEON, program)
        for env in (box.env(), dict(box.env(), AEON_LLVM="/nowhere/aeon-llvm")):
            def aeon(*args):
                return subprocess.run([program, *args], env=env, cwd=box.work, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, timeout=PATIENCE)
            said = aeon("version").stdout
            check(b"compiled tier: none: " in said and b"aeon-llvm" in said, f"version says: {said}")
            for mode in ("auto", "interp"):
                p = aeon("run", "-q", "--tier", mode, guest("hello.wasm"))
                check((p.returncode, p.stdout, p.stderr) == (0, HELLO, b""), f"{mode}: {p}")
            for command in (["run", "--tier", "compiled"], ["compile"]):
                p = aeon(*command, guest("hello.wasm"))
                check(p.returncode in (2, 125) and not p.stdout and b"put aeon-llvm beside aeon" in p.stderr, f"{p}")
            p = aeon("replay", "--tier", "compiled", "last")
            check(p.returncode == 125 and b"put aeon-llvm beside aeon" in p.stderr, f"{p}")
            p = aeon("verify", "last")
            check(p.returncode == 0, f"{p}")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry))
        except (OSError, ValueError):
            continue
    return found


@case
def killed(box):
    """A worker at work dies; what it was asked is asked of another one, and the guest notices nothing."""
    if not os.path.exists(guest("lua.wasm")):
        return f"skipped: {guest('lua.wasm')} is not there (tools/guests.sh brings it)"
    script = "local n = 0 for r = 1, 300 do for i = 1, 100000 do n = (n + i * r) % 1000003 end " \
             "table.sort({r, n, 1, 5}) end print(n)"
    expected = box.aeon("run", "-q", "--no-record", "--tier", "interp", guest("lua.wasm"), "-e", script, expect=0).out
    dead = 0
    with Running(box, "run", "-q", "--tier", "auto", guest("lua.wasm"), "-e", script) as running:
        while running.process.poll() is None and not dead:
            for pid in children(running.process.pid):
                try:
                    if cpu_ticks(pid) * 1000 // os.sysconf("SC_CLK_TCK") >= 300:  # ms: it has begun with something
                        os.kill(pid, signal.SIGKILL)
                        dead += 1
                except OSError:
                    pass
            time.sleep(0.01)
        live = running.ended()
    check(dead, "the run was over before a worker was at work")
    check(live.out == expected, f"{live}, interpreted {expected}")
    told = tier(box, box.last_id())
    check(told["deaths"] == dead, f"{dead} killed, it tells of: {told}")
    shown = box.aeon("show", "last", expect=0).out.decode()
    check("died" in shown, f"show says: {shown}")
    check(box.aeon("replay", "--tier", "interp", "last", expect=0).out == expected, "the replay differs")
    return f"{told['compiled']} functions compiled all the same"


def objects(box):
    cache = os.path.join(box.home, "cache")
    return sorted(os.path.join(at, name) for at, _, names in os.walk(cache) for name in names if name.endswith(".o"))


def overwrite(path, change):
    with open(path, "rb") as f:
        data = bytearray(f.read())
    os.remove(path)
    with open(path, "wb") as f:
        f.write(change(data))


def flipped(at):
    def change(data):
        data[int(at * (len(data) - 1))] ^= 4
        return data
    return change


@case
def damaged(box):
    """Each kind of damage is found, dropped and made good."""
    hello(box)
    expected = trace(box, box.last_id())
    kinds = {f"a bit at {at}": flipped(at) for at in (0, 0.01, 0.1, 0.3, 0.5, 0.8, 0.99, 1)}
    kinds |= {"half": lambda d: d[:len(d) // 2], "one byte less": lambda d: d[:-1], "nothing": lambda d: b"",
              "one byte more": lambda d: d + b"x", "zeros": lambda d: bytes(len(d)), "text": lambda d: b"what?"}
    for name, change in kinds.items():
        hurt = objects(box)
        check(hurt, "there are no objects")
        for path in hurt:
            overwrite(path, change)
        told, said = hello(box)
        check(told["dropped"] == len(hurt) and told["compiled"] == told["functions"], f"{name}: {told}")
        check(b"damaged" in said, f"{name}: it said {said}")
        check(not set(hurt) & set(objects(box)), f"{name}: not removed")
        same(expected, trace(box, box.last_id()), name)
        told, said = hello(box)
        check(told["cached"] == told["functions"] and not told["dropped"] and b"damaged" not in said,
              f"{name}, again: {told}, {said}")
    return f"{len(kinds)} kinds"


def foreign(path, box):
    """Ways in which a file or directory is not this user's alone, and back."""
    mode = os.stat(path).st_mode & 0o777
    yield "others may write", lambda: os.chmod(path, mode | 0o002), lambda: os.chmod(path, mode)
    yield "a group may write", lambda: os.chmod(path, mode | 0o020), lambda: os.chmod(path, mode)
    if os.geteuid() == 0:
        yield "another owner", lambda: os.chown(path, 65534, -1), lambda: os.chown(path, 0, -1)
    moved = os.path.join(box.root, "moved")

    def link():
        os.rename(path, moved)
        os.symlink(moved, path)

    def back():
        os.remove(path)
        os.rename(moved, path)
    if path != os.path.join(box.home, "cache"):
        yield "a link", link, back


@case
def others(box):
    """Code that somebody else may have written is not run; what there is is left alone."""
    hello(box)
    whole = objects(box)
    entry = os.path.dirname(whole[0])
    n = 0
    for path in (whole[0], entry, os.path.join(box.home, "cache")):
        for name, spoil, mend in foreign(path, box):
            spoil()
            try:
                told, said = hello(box)
            finally:
                mend()
            check(told["compiled"] > 0, f"{path}, {name}: it was taken: {told}")
            check(path == whole[0] or b"alone" in said or b"cannot open" in said, f"{path}, {name}: it said {said}")
            check(os.path.exists(whole[0]), f"{path}, {name}: it was removed")
            for more in set(objects(box)) - set(whole):
                os.remove(more)
            n += 1
    return f"{n} ways"


@case
def together(box):
    """Two on an empty cache, which is whole afterwards."""
    command = ["run", "-q", "--tier", "compiled", guest("trap.wasm"), "div0"]
    with Running(box, *command) as a, Running(box, *command) as b:
        ends = [a.ended(134), b.ended(134)]
    check(ends[0].out == ends[1].out and ends[0].err == ends[1].err, f"{ends[0]}\n{ends[1]}")
    first, second = (r["id"] for r in box.runs())
    same(trace(box, first), trace(box, second), "two at once")
    box.aeon(*command, expect=134)
    told = tier(box, box.last_id())
    check(told["compiled"] == 0 and told["cached"] == told["functions"] and not told["dropped"], f"after it: {told}")
    return f"{len(objects(box))} objects"


@case
def unrecorded(box):
    """What is compiled without a record is kept too, be there a store or not, or anything above it."""
    box.home = os.path.join(box.root, "not", "yet", "there")
    box.aeon("run", "--no-record", "--tier", "compiled", guest("hello.wasm"), expect=0)
    check(objects(box), "nothing is kept")
    before = objects(box)
    told, _ = hello(box)
    check(told["cached"] == told["functions"] and objects(box) == before, f"then: {told}")
    check(os.stat(box.home).st_mode & 0o777 == 0o700, "others may look into the store")


if __name__ == "__main__":
    main({"alone": alone, "killed": killed, "damaged": damaged, "others": others, "together": together,
          "unrecorded": unrecorded})
