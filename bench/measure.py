"""measure.py: runs programs and says what they used; what is measured is the affair of bench/run."""
import math
import os
import shlex
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

SAMPLE_S = 0.01


class Failure(Exception):
    pass


class Usage:
    """What one process and the children it waited for have used. Where the tree was watched: `tree_mb`, the most that
    all of its processes had at once (proportional set sizes, sampled), and `processes`, how many at most."""

    def __init__(self, wall, rusage):
        self.wall, self.user, self.system = wall, rusage.ru_utime, rusage.ru_stime
        self.cpu = self.user + self.system
        self.peak_mb = rusage.ru_maxrss / 1024
        self.tree_mb = self.processes = 0


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def group_members(group):
    """Process ids of a process group, and of the descendants of its members: a worker may have a group of its own."""
    parents, members = {}, set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        if int(fields[2]) == group:
            members.add(int(entry.name))
    while True:
        more = {pid for pid, parent in parents.items() if parent in members} - members
        if not more:
            return members
        members |= more


def pss_kb(pid):
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


class Watch(threading.Thread):
    """Samples the memory of a process and of all that it starts."""

    def __init__(self, group):
        super().__init__()
        self.group, self.ended = group, threading.Event()
        self.most_kb = self.processes = 0

    def run(self):
        while not self.ended.wait(SAMPLE_S):
            sizes = [kb for kb in map(pss_kb, group_members(self.group)) if kb]
            self.most_kb = max(self.most_kb, sum(sizes))
            self.processes = max(self.processes, len(sizes))

    def end(self):
        self.ended.set()
        self.join()


def run(command, env=None, watch=False):
    """Runs COMMAND to its end; (Usage, stdout, stderr). Any exit status but 0 is a Failure."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                 (os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        start = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, env or os.environ, file_actions=files, setpgroup=0)
        watcher = Watch(pid) if watch else None
        try:
            if watcher:
                watcher.start()
            _, status, rusage = os.wait4(pid, 0)
        except BaseException:  # a program of its own group does not get the terminal's signals
            os.killpg(pid, signal.SIGKILL)
            raise
        finally:
            if watcher:
                watcher.end()
        usage = Usage(time.perf_counter() - start, rusage)
        if watcher:
            usage.tree_mb, usage.processes = watcher.most_kb / 1024, watcher.processes
        texts = []
        for file in out, err:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    if status != 0:
        what = f"ended by signal {-code}" if (code := os.waitstatus_to_exitcode(status)) < 0 else f"exit status {code}"
        raise Failure(f"{shlex.join(command)[:200]}: {what}: {texts[1].strip()[-400:]}")
    return usage, *texts


def summary(usages, best=False):
    """Medians (or minima) of a list of Usages; the most of memory."""
    middle = min if best else statistics.median
    said = {key: middle(getattr(u, key) for u in usages) for key in ("user", "system", "cpu", "wall", "peak_mb")}
    said["runs"] = len(usages)
    said["user_min"], said["user_max"] = min(u.user for u in usages), max(u.user for u in usages)
    if any(u.tree_mb for u in usages):
        said["tree_mb"] = max(u.tree_mb for u in usages)
        said["processes"] = max(u.processes for u in usages)
    return said


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]
        print("  ".join(cells).rstrip())
    print()
