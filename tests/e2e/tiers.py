#!/usr/bin/env python3
"""The tiers, from the command line: whatever code runs as, a run is the same, and what was recorded on one replays on
any other. Output, errors (with back-traces), exit status are compared, and where the guest asks for nothing that
changes by itself the records of all runs too, each with its tick.

    tiers.py [CASE...]"""
import json
import os

from box import AEON, Box, check, guest, main
from guests import DATA, LUA, PYTHON_LIBRARY, compare
from net import Running, missing, program

COMPILER = os.path.join(os.path.dirname(os.path.abspath(AEON)), "aeon-llvm")
CROSSINGS = [("compiled", "interp"), ("interp", "compiled"), ("auto", "auto")]
MEANWHILE = [("auto", "interp"), ("interp", "auto"), ("auto", "auto")]  # for what takes long to compile whole
RECORDS, CALLS, NOTHING = range(3)  # what two runs have in common: records whole; calls and ticks; neither

# Sums, strings and a sort: what stays in the same few functions and loops.
LUA_BUSY = """
local t, n = {}, 0
for i = 1, 300000 do n = (n + i * i) % 1000003 end
for i = 1, 4000 do t[i] = (i * 7919) % 10007 end
table.sort(t)
local s = {} for i = 1, 4000 do s[#s + 1] = string.format('%d:%s', t[i], t[i] % 7) end
print(n, t[1], t[4000], #table.concat(s))
"""

PY_BUSY = """
import time, random
def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
print(sum(collatz(n) for n in range(1, ROUNDS)))
big = 1
for i in range(1, 1200):
    big = big * i
print(pow(3, big % 10**90, 10**90 + 7))
words = sorted(str(i * 7919 % 100003) for i in range(20000))
print(words[0], words[-1], ''.join(words).count('77'), time.time(), random.random())
raise SystemExit(3)
"""


def no_compiler():
    """What a case says that needs one; None: there is one."""
    return None if os.path.exists(COMPILER) else f"skipped: there is no {COMPILER}"


def trace(box, run_id, what=RECORDS):
    """What the run's record says, without what the machine's clock has to do with."""
    lines = [json.loads(line) for line in box.aeon("trace", "--json", run_id, expect=0).out.splitlines()]
    if what == CALLS:
        return [(line["record"], line["clock"], line.get("call"), line.get("end")) for line in lines]
    return [{k: v for k, v in line.items() if k not in ("time_ns", "duration_ns")} for line in lines]


def tier(box, run_id):
    """What `aeon show` tells of a run's functions."""
    return json.loads(box.aeon("show", "--json", run_id, expect=0).out)["tier"]


def same(a, b, what):
    """The first place where two records differ is what one wants to see."""
    for x, y in zip(a, b):
        check(x == y, f"{what}: {x}\nbut: {y}")
    check(len(a) == len(b), f"{what}: {len(a)} and {len(b)} lines")


def fresh(box, files):
    data = os.path.join(box.work, "data")
    if os.path.isdir(data):
        program("rm", "-r", data)
    os.mkdir(data)
    for name, text in files.items():
        with open(os.path.join(data, name), "w", encoding="utf-8") as f:
            f.write(text)


def crossed(module, *variants, options=(), files=None, stdin=b"", common=RECORDS, crossings=CROSSINGS):
    """Each of the variants, lists of arguments, recorded on every tier and replayed on another."""
    def case():
        if not os.path.exists(guest(module)):
            return f"skipped: {guest(module)} is not there (tools/guests.sh brings it)"
        if lacks := no_compiler():
            return lacks
        with Box() as box:
            records = 0
            for args in variants or ([],):
                records += cross(box, args)
            return f"{len(variants) or 1} times {len(crossings)} runs, {records} records each way"

    def cross(box, args):
        lives, traces = [], []
        for recorded, replayed in crossings:
            fresh(box, files or {})
            live = box.aeon("run", "-q", "--tier", recorded, *options, guest(module), *args, stdin=stdin)
            run_id = box.last_id()
            told = tier(box, run_id)
            check(recorded != "interp" or told == {"mode": "interp"}, f"interpreted, but it tells of: {told}")
            if recorded == "compiled":
                check(told["compiled"] + told["cached"] == told["functions"], f"not everything is compiled: {told}")
            compare(live, box.aeon("replay", "--tier", replayed, run_id))
            box.aeon("verify", "--tier", replayed, run_id, expect=0)
            lives.append(live)
            traces.append(trace(box, run_id, common))
        for other, lines in zip(lives[1:], traces[1:]):
            if common != NOTHING:
                check(other.status == lives[0].status, f"{other}\nand {lives[0]}")
                same(traces[0], lines, f"{module} {args}")
            if common == RECORDS:
                compare(lives[0], other)
        return len(traces[0])
    return case


def python(module, options):
    """Too large to be compiled whole: what is hot is compiled while it runs."""
    def case():
        if not os.path.exists(guest(module)):
            return f"skipped: {guest(module)} is not there (tools/guests.sh brings it)"
        if lacks := no_compiler():
            return lacks
        script = PY_BUSY.replace("ROUNDS", "15000")
        with Box() as box:
            for recorded, replayed in (("auto", "interp"), ("interp", "auto")):
                live = box.aeon("run", "-q", "--tier", recorded, *options, guest(module), "-c", script, expect=3)
                run_id = box.last_id()
                compare(live, box.aeon("replay", "--tier", replayed, run_id))
            told = tier(box, box.runs()[0]["id"])
            check(told["compiled"] > 0, f"nothing was compiled while it ran: {told}")
            shown = box.aeon("show", box.runs()[0]["id"], expect=0).out.decode()
            check(f"{told['compiled']} compiled" in shown and "LLVM" in shown, f"show says: {shown}")
            return f"{told['compiled']} functions and {told['loops']} entries into loops compiled meanwhile"
    return case


def server():
    """The same requests to a compiled server, whose record replays interpreted."""
    if lacks := no_compiler() or missing("curl"):
        return lacks
    with Box() as box:
        for recorded, replayed in (("compiled", "interp"), ("interp", "compiled")):
            command = ["run", "--tier", recorded, "--listen", "127.0.0.1:0", guest("http_server.wasm"), "-", "20"]
            with Running(box, *command) as running:
                url = f"http://127.0.0.1:{running.port()}/"
                for _ in range(10):
                    out = program("curl", "-sS", "--noproxy", "*", "--max-time", "100", url, url)
                    check(out == b"hello\nhello\n", f"curl printed {out!r}")
                live = running.ended()
            run_id = box.last_id()
            again = box.aeon("replay", "--tier", replayed, run_id, expect=0)
            check(again.out == live.out, f"{live}\nreplayed: {again}")
            box.aeon("verify", "--tier", replayed, run_id, expect=0)
        return "20 requests, compiled and interpreted"


def kernels():
    """What bench/ measures, where it has been built: little work for each."""
    there = [k for k in ("core", "fib", "hash", "matmul", "nbody", "sha", "sort", "vm")
             if os.path.exists(guest(f"../bench/wasm/{k}.wasm"))]
    if not there:
        return "skipped: bench/run has built no kernels"
    for kernel in there:
        remark = crossed(f"../bench/wasm/{kernel}.wasm", ["1"])()
        if remark.startswith("skipped"):
            return remark
    return ", ".join(there)


TRAPS = ["unreachable", "div0", "overflow", "oob", "null", "signature", "recursion", "conversion"]
CASES = {
    "hello": crossed("hello.wasm"),
    "args": crossed("args.wasm", ["--", "-x", "two words"], options=["--env", "A=1"]),
    "clock": crossed("clock.wasm", common=NOTHING),
    "exit": crossed("exit.wasm", ["0"], ["42"]),
    "trap": crossed("trap.wasm", *([kind] for kind in TRAPS)),
    "poll": crossed("poll.wasm", stdin=b"abc\n" * 10, common=NOTHING),
    "files": crossed("files.wasm", ["/data"], options=DATA, common=CALLS),
    "lua": crossed("lua.wasm", ["/data/busy.lua"], ["/data/script.lua", "x"], options=DATA, common=NOTHING,
                   files={"busy.lua": LUA_BUSY, "script.lua": LUA}, crossings=MEANWHILE),
    "cpp": crossed("stl.wasm", crossings=MEANWHILE),
    "rust": crossed("rust.wasm", ["/data"], ["/data", "panic"], options=DATA, common=NOTHING, crossings=MEANWHILE),
    "kernels": kernels,
    "server": server,
    "python312": python("python.wasm", []),
    "python311": python("python-3.11.wasm", PYTHON_LIBRARY),
}

if __name__ == "__main__":
    main(CASES)
