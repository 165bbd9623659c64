"""What the end-to-end tests share: a private store and directory, aeon started in them, and what it printed."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

AEON = os.environ.get("AEON") or sys.exit("AEON is not set: the program under test")
GUESTS = os.environ.get("AEON_GUESTS") or sys.exit("AEON_GUESTS is not set: where the guests lie")
SKIPPED = 77


def guest(name):
    return os.path.join(GUESTS, name)


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


class Result:
    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def __str__(self):
        return (f"aeon {' '.join(self.args)}\n  status {self.status}\n"
                f"  stdout {self.out[-2000:]!r}\n  stderr {self.err[-2000:]!r}")


class Box:
    """A directory that is removed at the end, with a store (home) and a place for the guest's files (work)."""

    def __enter__(self):
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="aeon-e2e-"))
        self.home = os.path.join(self.root, "home")
        self.work = os.path.join(self.root, "work")
        os.mkdir(self.work)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)

    def env(self):
        kept = {k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LLVM_PROFILE"))}
        return dict(kept, AEON_HOME=self.home, PATH=os.environ["PATH"], HOME=self.root, TZ="UTC", LC_ALL="C.UTF-8")

    def aeon(self, *args, stdin=b"", env=None, cwd=None, expect=None, timeout=600):
        p = subprocess.run([AEON, *args], input=stdin, env=env or self.env(), cwd=cwd or self.work,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        result = Result(args, p.returncode, p.stdout, p.stderr)
        if expect is not None:
            check(p.returncode == expect, f"expected status {expect}: {result}")
        return result

    def start(self, *args, **popen):
        """aeon in the background; the caller waits for it or kills it."""
        return subprocess.Popen([AEON, *args], env=self.env(), cwd=self.work, **popen)

    def runs(self):
        lines = self.aeon("ls", "--json", expect=0).out.decode().splitlines()
        return [json.loads(line) for line in lines]

    def last_id(self):
        return self.runs()[-1]["id"]

    def run_dir(self, run_id):
        return os.path.join(self.home, "runs", run_id)

    def replay_elsewhere(self, run_id):
        """Replays with nothing of the machine in reach that the live run had: no environment, another directory, the
        guest's files gone."""
        empty = os.path.join(self.root, "empty")
        os.makedirs(empty, exist_ok=True)
        hidden = os.path.join(self.root, "hidden")
        os.rename(self.work, hidden)
        try:
            return self.aeon("replay", run_id, env={"AEON_HOME": self.home}, cwd=empty)
        finally:
            os.rename(hidden, self.work)


def main(cases):
    """Runs the named cases, or all; `go` names go-exit too. Prints a line for each and a closing one."""
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]

    def named(name, by):
        return name == by or name.startswith(by + "-")

    unknown = [w for w in wanted if not any(named(name, w) for name in cases)]
    if unknown:
        sys.exit(f"no such case: {', '.join(unknown)}; there are: {', '.join(cases)}")
    passed = failed = skipped = 0
    for name, case in cases.items():
        if wanted and not any(named(name, w) for w in wanted):
            continue
        try:
            remark = case()
            if remark and remark.startswith("skipped"):
                skipped += 1
            else:
                passed += 1
            print(f"ok   {name}" + (f": {remark}" if remark else ""), flush=True)
        except (Failure, subprocess.TimeoutExpired) as e:
            failed += 1
            print(f"FAIL {name}: {e}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed + skipped else SKIPPED if not passed else 0)
