#!/usr/bin/env python3
"""Compiled code that is stopped: by a signal, by time, by fuel, by depth; at the same tick as interpreted code where
ticks decide, and soon where they do not.

    tiers_limits.py [CASE...]"""
import datetime
import signal
import time

from box import Box, check, guest, main
from guests import compare
from net import Running
from tiers import no_compiler, same, tier, trace

TIERS = ["interp", "compiled", "auto"]


def case(function):
    def run():
        if lacks := no_compiler():
            return lacks
        with Box() as box:
            box.aeon("compile", guest("hostile.wasm"), expect=0)
            return function(box)
    return run


def equal(box, *args, status):
    """The run on each tier, and its replay on the others; the last line of its record, which says how it ended."""
    first = None
    for name in TIERS:
        live = box.aeon("run", "-q", "--tier", name, *args, expect=status)
        run_id = box.last_id()
        told = tier(box, run_id)
        check(name == "interp" or told["cached"] + told["compiled"] > 0, f"nothing is compiled: {told}")
        compare(live, box.aeon("replay", "--tier", TIERS[TIERS.index(name) - 1], run_id))
        lines = trace(box, run_id)
        if first:
            compare(first[0], live)
            same(first[1], lines, f"{name} {args}")
        first = first or (live, lines)
    return first[1][-1]


@case
def fuel(box):
    for ticks in (1500, 100000, 1234567, 20000001):
        end = equal(box, "--fuel", str(ticks), guest("hostile.wasm"), "loop", status=152)
        check(end["clock"] == ticks, f"with {ticks} it ended: {end}")


@case
def recursion(box):
    ends = []
    for stack in ("64KiB", "8MiB", "64MiB"):
        end = equal(box, "--stack", stack, guest("hostile.wasm"), "calls", status=134)
        check("in recurse" in end["words"], f"it ended: {end}")
        ends.append(end["clock"])
    check(ends == sorted(set(ends)), f"it ended at: {ends}")
    return f"traps at ticks {ends}"


@case
def signalled(box):
    """A loop that calls nothing; the figure is from the signal to the tick at which it ended."""
    took = []
    for by in (signal.SIGINT, signal.SIGTERM):
        with Running(box, "run", "-q", "--tier", "compiled", guest("hostile.wasm"), "loop") as running:
            running.until("loop", "out")
            time.sleep(0.1)
            sent = time.time()
            live = running.stopped(by)
        run = box.runs()[-1]
        ended = datetime.datetime.fromisoformat(run["started"]).timestamp() + run["duration_ns"] / 1e9
        took.append(max(ended - sent, 0))
        check(live.out == b"loop\n", f"{live}")
        for name in ("interp", "compiled"):
            again = box.aeon("replay", "--tier", name, box.last_id())
            check(again.status == 128 + by and again.out == live.out, f"{live}\nreplayed: {again}")
    return "ended after " + ", ".join(f"{t * 1e3:.1f} ms" for t in took)


@case
def timed(box):
    late = []
    for kind in ("loop", "fill"):
        box.aeon("run", "-q", "--tier", "compiled", "--time", "100ms", guest("hostile.wasm"), kind, expect=142)
        run_id = box.last_id()
        late.append(kind + f" {box.runs()[-1]['duration_ns'] / 1e6 - 100:.1f} ms")
        compare(box.aeon("replay", "--tier", "compiled", run_id, expect=142),
                box.aeon("replay", "--tier", "interp", run_id, expect=142))
    return "late by: " + ", ".join(late)


if __name__ == "__main__":
    main({"fuel": fuel, "recursion": recursion, "signalled": signalled, "timed": timed})
