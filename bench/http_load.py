#!/usr/bin/env python3
"""bench/http_load.py: what a server pays for being a guest, and for being recorded.

examples/http-c/http_server.c, native, under aeon without and with recording, each on one core, and wrk on another
(where there are two).  Prints requests a second, the processor time that the server spent on one (which other load on
the machine does not change much), both relative to native and to unrecorded, wrk's errors, and the journal's bytes per
record.  Runs of the variants alternate; the figures are medians."""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SIGNALLED_OK = {0, 128 + signal.SIGTERM}


class Failure(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_served(port, pid):
    for _ in range(200):
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise Failure("the server ended at once")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                if s.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise Failure(f"nothing is served on port {port}")


def on_core(core, command):
    return ["taskset", "-c", str(core), *command]


class Load:
    def __init__(self, args):
        self.args = args
        self.home = Path(args.build) / "http-home"
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.wrk_core = cores[0], cores[-1]
        self.env = dict(os.environ, AEON_HOME=str(self.home))

    def variants(self):
        """Name to a function of the port that gives the command."""
        guest = str(self.args.guests / "http_server.wasm")
        aeon = self.args.aeon
        return {
            "native": lambda port: [str(self.args.guests / "native/http_server"), f"127.0.0.1:{port}"],
            "aeon --no-record": lambda port: [aeon, "run", "-q", "--no-record", "--listen", f"127.0.0.1:{port}", guest],
            "aeon": lambda port: [aeon, "run", "-q", "--listen", f"127.0.0.1:{port}", guest],
        }

    def wrk(self, port):
        command = on_core(self.wrk_core, ["wrk", "-t1", f"-c{self.args.connections}", f"-d{self.args.seconds}s",
                                          "--timeout", "10s", f"http://127.0.0.1:{port}/"])
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        done = re.search(r"(\d+) requests in", out)
        rate = re.search(r"Requests/sec:\s*([\d.]+)", out)
        if not done or not rate:
            raise Failure(f"wrk said {out!r}")
        errors = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", out))
        errors += sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
        return int(done[1]), float(rate[1]), errors

    def once(self, command_of):
        shutil.rmtree(self.home, ignore_errors=True)
        port = free_port()
        command = on_core(self.server_core, command_of(port))
        files = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        pid = os.posix_spawnp(command[0], command, self.env, file_actions=files)
        try:
            wait_until_served(port, pid)
            requests, rate, errors = self.wrk(port)
            peak_kb = int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
        finally:
            os.kill(pid, signal.SIGTERM)
            _, status, usage = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in SIGNALLED_OK and code != -signal.SIGTERM:
            raise Failure(f"{' '.join(command)} ended with {code}")
        user_us, system_us = usage.ru_utime / requests * 1e6, usage.ru_stime / requests * 1e6
        return {"rate": rate, "errors": errors, "cpu_us": user_us + system_us, "user_us": user_us,
                "system_us": system_us, "peak_mb": peak_kb / 1024, "requests": requests, **self.journal()}

    def journal(self):
        """Size of the one run that there is, if any."""
        if not (self.home / "runs").is_dir():
            return {}
        out = subprocess.run([self.args.aeon, "ls", "--json"], env=self.env, capture_output=True, text=True,
                             check=True).stdout
        runs = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return {"records": runs[0]["records"], "bytes": runs[0]["size_bytes"]} if runs else {}

    def measure(self):
        variants = self.variants()
        found = {name: [] for name in variants}
        for i in range(self.args.runs):
            for name, command_of in variants.items():
                say(f"bench: http, {name}, {i + 1} of {self.args.runs}")
                found[name].append(self.once(command_of))
        shutil.rmtree(self.home, ignore_errors=True)
        result = {}
        for name, runs in found.items():
            result[name] = {key: statistics.median(r[key] for r in runs) for key in runs[0] if key != "errors"}
            result[name]["errors"] = sum(r["errors"] for r in runs)
        return result


def show(result, args):
    print(f"HTTP, {args.connections} connections, {args.seconds} s, medians of {args.runs}; a core each for both sides")
    print()
    rows = [["", "requests/s", "of native", "us of CPU each", "of which user", "x native", "errors", "peak MB"]]
    native = result["native"]
    for name, r in result.items():
        rows.append([name, f"{r['rate']:.0f}", f"{r['rate'] / native['rate']:.2f}", f"{r['cpu_us']:.2f}",
                     f"{r['user_us']:.2f}", f"{r['cpu_us'] / native['cpu_us']:.2f}", str(r["errors"]),
                     f"{r['peak_mb']:.1f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))]))
    recorded, plain = result["aeon"], result["aeon --no-record"]
    print(f"\nrecording costs {100 * (1 - recorded['rate'] / plain['rate']):.1f} % of the requests a second, "
          f"{100 * (recorded['cpu_us'] / plain['cpu_us'] - 1):.1f} % more processor time")
    if recorded.get("records"):
        print(f"journal: {recorded['records'] / recorded['requests']:.2f} records a request, "
              f"{recorded['bytes'] / recorded['records']:.2f} bytes a record, all included")


def main():
    build_dir = os.environ.get("AEON_BUILD_DIR", str(TOP / "build/release"))
    parser = argparse.ArgumentParser(prog="bench/http_load.py", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each variant (default 3)")
    parser.add_argument("--seconds", type=int, default=5, metavar="S", help="length of one (default 5)")
    parser.add_argument("--connections", type=int, default=100, metavar="N", help="at a time (default 100)")
    parser.add_argument("--aeon", default=os.environ.get("AEON", f"{build_dir}/aeon"), help="the program under test")
    parser.add_argument("--guests", type=Path, default=Path(os.environ.get("AEON_GUESTS", TOP / "build/guests")),
                        help="where http_server.wasm and native/http_server lie")
    parser.add_argument("--build", default=str(TOP / "build/bench"), help="where runs are kept for the time being")
    parser.add_argument("--json", action="store_true", help="all figures, for programs")
    args = parser.parse_args()
    try:
        missing = [tool for tool in ("wrk", "taskset") if not shutil.which(tool)]
        missing += [str(p) for p in (args.guests / "http_server.wasm", args.guests / "native/http_server",
                                     Path(args.aeon)) if not p.exists()]
        if missing:
            raise Failure(f"no {', no '.join(missing)}")
        result = Load(args).measure()
    except (Failure, OSError, subprocess.CalledProcessError) as failure:
        say(f"bench: http: {failure}")
        return 2
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        show(result, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
