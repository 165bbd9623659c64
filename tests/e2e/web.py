#!/usr/bin/env python3
"""The HTTP server in C as a guest, and real clients: curl, wrk, thousands of idle connections, a hundred thousand
records. Each run is replayed with no network in reach.

    web.py [CASE...]

AEON_QUICK: smaller bodies. AEON_SECONDS, AEON_CONNECTIONS: how long wrk runs, how many are idle."""
import hashlib
import json
import os
import re

from box import Box, check, guest, main
from net import PATIENCE, QUICK, Running, connected, many_descriptors, missing, program, replayed

REQUEST = b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n"
CURL = ["curl", "-s", "-S", "--noproxy", "*", "--max-time", str(PATIENCE)]


def serving(box, *options, requests=None):
    """The guest on a listener that it is given; it ends after so many requests, or is stopped."""
    return Running(box, "run", *options, "--listen", "127.0.0.1:0", guest("http_server.wasm"), "-",
                   *([str(requests)] if requests else []))


def case(*programs):
    def decorate(function):
        def run():
            if lacks := missing(*programs):
                return lacks
            with Box() as box:
                return function(box)
        return run
    return decorate


@case("curl")
def curl(box):
    """Two requests on one connection, a head alone, what is not there."""
    with serving(box, requests=4) as server:
        url = f"http://127.0.0.1:{server.port()}"
        out = program(*CURL, "-w", "%{http_version} %{num_connects}\n", url + "/", url + "/")
        check(out == b"hello\n1.1 1\nhello\n1.1 0\n", f"curl printed {out!r}")
        out = program(*CURL, "-I", url + "/")
        check(out.startswith(b"HTTP/1.1 200 OK\r\n") and out.endswith(b"\r\n\r\n"), f"curl printed {out!r}")
        out = program(*CURL, "-w", "%{http_code}", url + "/none")
        check(out == b"not found\n404", f"curl printed {out!r}")
        live = server.ended()
    check(b"http_server: 4 requests" in live.err, f"{live}")
    replayed(box, box.last_id(), live.out)


@case("curl")
def bodies(box):
    """A large body up and down at once: with its length, and in chunks."""
    size = (20 if QUICK else 100) << 20
    body = os.path.join(box.work, "body")
    digest = hashlib.sha256()
    with open(body, "wb") as f:
        for _ in range(size >> 20):
            part = os.urandom(1 << 20)
            digest.update(part)
            f.write(part)
    with serving(box, requests=2) as server:
        url = f"http://127.0.0.1:{server.port()}/echo"
        for options in ([], ["-H", "Transfer-Encoding: chunked"]):
            out = program(*CURL, "-f", *options, "-T", body, "-o", body + ".back", "-w", "%{size_upload}", url)
            with open(body + ".back", "rb") as f:
                back = hashlib.file_digest(f, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read())
            check(back.digest() == digest.digest(), f"{options}: what came back is not what was sent ({out!r})")
        live = server.ended()
    run = box.runs()[-1]
    replayed(box, run["id"], live.out)
    return f"2 times {size >> 20} MiB up and down, {run['records']} records, {run['size_bytes'] >> 20} MiB of record"


@case("wrk")
def wrk(box):
    """1000 connections that never rest: no socket error, no answer but 200."""
    seconds = int(os.environ.get("AEON_SECONDS", 5))
    if lacks := many_descriptors(4096):
        return lacks
    with serving(box) as server:
        out = program("wrk", "-t", "2", "-c", "1000", "-d", f"{seconds}s", "--timeout", "60s",
                      f"http://127.0.0.1:{server.port()}/", timeout=PATIENCE + seconds).decode()
        done = re.search(r"(\d+) requests in", out)
        check(done and int(done[1]) > 1000, f"wrk printed {out}")
        check("Socket errors" not in out and "Non-2xx" not in out, f"wrk printed {out}")
        live = server.stopped()
    run = box.runs()[-1]
    check("SIGTERM" in run["outcome"], f"stopped by a signal, it is listed as {run}")
    replayed(box, run["id"], live.out, live.status)
    per_second = re.search(r"Requests/sec:\s*(\S+)", out)[1]
    return (f"{done[1]} requests, {per_second} a second, {run['records']} records, "
            f"{run['size_bytes'] / run['records']:.1f} bytes each")


def answers(s, n):
    """Reads n answers to REQUEST."""
    got = b""
    while got.count(b"\r\n\r\nhello\n") < n:
        part = s.recv(65536)
        check(part, f"the connection ended after {got!r}")
        got += part
    return got


@case()
def idle(box):
    """Connections that say something once, and once more when all are there."""
    n = int(os.environ.get("AEON_CONNECTIONS", 1000))
    if lacks := many_descriptors(n + 200):
        return lacks
    clients = []
    with serving(box, "--handles", str(n + 100), requests=2 * n) as server:
        try:
            port = server.port()
            before = server.resident()
            for _ in range(n):
                clients.append(connected(port))
                clients[-1].sendall(REQUEST)
                answers(clients[-1], 1)
            each = (server.resident() - before) / n
            for s in clients:
                s.sendall(REQUEST)
            for s in clients:
                answers(s, 1)
        finally:
            for s in clients:
                s.close()
        live = server.ended()
    replayed(box, box.last_id(), live.out)
    return f"{n} connections, {before / 1e6:.1f} MB before, {each / 1e3:.2f} kB more for each"


@case()
def records(box):
    """A run with 100 000 records of the network's calls and their results needs none to be replayed."""
    connections, rounds = 50, 520
    with serving(box, requests=connections * rounds) as server:
        port = server.port()
        clients = [connected(port) for _ in range(connections)]
        for _ in range(rounds):
            for s in clients:
                s.sendall(REQUEST)
            for s in clients:
                answers(s, 1)
        for s in clients:
            s.close()
        live = server.ended()
    run = box.runs()[-1]
    count = 0
    for line in box.aeon("trace", "--json", run["id"], expect=0).out.splitlines():
        call = json.loads(line)
        count += (1 + ("return" in call)) * call.get("call", "").startswith("sock_")
    check(count >= 100000, f"{count} records of the network's")
    replayed(box, run["id"], live.out)
    return f"{count} records of the network's, {run['size_bytes'] / run['records']:.1f} bytes each"


if __name__ == "__main__":
    main({"curl": curl, "bodies": bodies, "wrk": wrk, "idle": idle, "records": records})
