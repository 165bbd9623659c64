"""What the end-to-end tests of the network share: aeon in the background, programs of this machine, replays with no
network in reach."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

from box import AEON, Result, check

QUICK = bool(os.environ.get("AEON_QUICK"))
PATIENCE = 120  # seconds until something is taken to hang, on a machine that has others to serve


class Running:
    """aeon in the background; what it prints is read as it comes. Killed at the end if it still runs."""

    def __init__(self, box, *args, stdin=None):
        self.args, self.out, self.err, self.changed = args, b"", b"", threading.Condition()
        self.process = box.start(*args, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.readers = [threading.Thread(target=self.read, args=(name,), daemon=True) for name in ("out", "err")]
        for reader in self.readers:
            reader.start()
        if stdin:
            self.process.stdin.write(stdin)
            self.process.stdin.close()

    def read(self, name):
        with getattr(self.process, "std" + name) as stream:
            while part := stream.read1():
                with self.changed:
                    setattr(self, name, getattr(self, name) + part)
                    self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def until(self, pattern, stream="err"):
        """The match of `pattern` in what it has printed so far or is still going to."""
        deadline = time.monotonic() + PATIENCE
        with self.changed:
            while not (match := re.search(pattern.encode(), getattr(self, stream))):
                over = not any(r.is_alive() for r in self.readers)
                check(not over and time.monotonic() < deadline, f"no {pattern!r} came: {self.result()}")
                self.changed.wait(0.1)
        return match

    def port(self, what="listening on"):
        return int(self.until(what + r" \S+:(\d+)")[1])

    def resident(self, name="VmRSS"):
        """Bytes of memory it takes."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            return int(re.search(name + r":\s*(\d+) kB", f.read())[1]) * 1024

    def result(self):
        return Result(self.args, self.process.returncode, self.out, self.err)

    def ended(self, expect=0):
        self.process.wait(PATIENCE)
        for reader in self.readers:
            reader.join(PATIENCE)
        check(self.process.returncode == expect, f"expected status {expect}: {self.result()}")
        return self.result()

    def stopped(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        return self.ended(128 + by)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def write(box, name, text):
    with open(os.path.join(box.work, name), "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    return name


def program(*args, expect=0, stdin=None, cwd=None, timeout=PATIENCE):
    """A program of this machine; what it printed."""
    p = subprocess.run(args, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, cwd=cwd,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    check(expect is None or p.returncode == expect,
          f"{' '.join(args)}\n  status {p.returncode}\n  stdout {p.stdout[-1000:]!r}\n  stderr {p.stderr[-1000:]!r}")
    return p.stdout


def missing(*names):
    """What a case says that cannot run without these programs; None: they are there."""
    lacking = [n for n in names if not shutil.which(n)]
    return f"skipped: no {', '.join(lacking)} on this machine" if lacking else None


def without_network():
    """What to put in front of a command so that it has no network at all, where that is permitted."""
    for prefix in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return prefix
    return []


def replayed(box, run_id, out, status=0):
    """The run says the same again with no network, in a directory without the guest's files; its record is whole."""
    empty = os.path.join(box.root, "empty")
    os.makedirs(empty, exist_ok=True)
    p = subprocess.run([*without_network(), AEON, "replay", run_id], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=box.env(), cwd=empty, timeout=PATIENCE)
    again = Result(["replay", run_id], p.returncode, p.stdout, p.stderr)
    check(again.out == out and again.status == status, f"live {out[-1000:]!r}, {status}; replayed: {again}")
    box.aeon("verify", run_id, expect=0)


def many_descriptors(n):
    """Raises how many this process and those it starts may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n:
        return f"skipped: no more than {hard} descriptors are allowed here"
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))
    return None


def connected(port, host="127.0.0.1"):
    return socket.create_connection((host, port), timeout=PATIENCE)


def refused(port, host="127.0.0.1"):
    """Nobody takes a connection there; some are taken by the machine and closed before anything is said."""
    try:
        with connected(port, host) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return not s.recv(1)
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return True
