#!/usr/bin/env python3
"""Applications of several guests: names, bind addresses, published ports, one loop for who computes and who waits. The
run of each guest is replayed by itself.

    apps.py [CASE...]"""
import json
import os
import shutil
import socket
import time

from box import Box, check, guest, main
from net import PATIENCE, Running, connected, program, refused, replayed, write

LOOP = "(module (memory (export \"memory\") 1) (func (export \"_start\") (loop $again (br $again))))"
GET = b"GET / HTTP/1.0\r\n\r\n"


def app(box, **guests):
    lines = [f"  {name}: {json.dumps(what)}" for name, what in guests.items()]
    return write(box, "app.yaml", "name: shop\nguests:\n" + "\n".join(lines) + "\n")


def server(address, requests=None, **more):
    return {"module": guest("http_server.wasm"), "args": [address] + ([str(requests)] if requests else []), **more}


def client(url, **more):
    return {"module": guest("http_client.wasm"), "args": [url], **more}


def case(function):
    def run():
        with Box() as box:
            return function(box)
    return run


def all_replayed(box, outcomes):
    """One run for each guest, in order, that ended so; each says again what it said. `outcomes`: exit statuses."""
    runs = box.runs()
    check(len(runs) == len(outcomes), f"{len(outcomes)} runs expected: {runs}")
    printed = []
    for run, status in zip(runs, outcomes):
        out = box.aeon("logs", "--stdout", run["id"], expect=0).out
        check(run.get("exit_status") == status if status < 128 else "SIGTERM" in run["outcome"],
              f"{status} expected: {run}")
        replayed(box, run["id"], out, status)
        printed.append(out)
    return printed


def fetched(port):
    with connected(port) as s:
        s.sendall(GET)
        got = b""
        while part := s.recv(65536):
            got += part
        return got


def served(port):
    """As `fetched`, once there is somebody."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            got = fetched(port)
            if got:
                return got
        except OSError:
            pass
        check(time.monotonic() < deadline, "nobody serves")
        time.sleep(0.05)


@case
def names(box):
    """Guests find each other by name; nobody else does: the name is of the application."""
    manifest = app(box, web=server("0.0.0.0:80", 3), one=client("http://web/"), two=client("http://web/none"),
                   three=client("http://web:80/"), astray=client("http://wed/"))
    live = box.aeon("run", manifest, expect=1)
    check(b"name wed: denied" in live.err, f"no denial of a name: {live}")
    printed = all_replayed(box, [0, 0, 0, 0, 1])
    check([p.split(b"\r\n\r\n")[-1] for p in printed] == [b"", b"hello\n", b"not found\n", b"hello\n", b""],
          f"the guests printed {printed}")


def bound(address, reached):
    """A guest bound to `address` is reached by its neighbour and by its published port, or by neither."""
    def run(box):
        manifest = app(box, web=server(address, publish=["127.0.0.1:0:80"]), neighbour=client("http://web/"),
                       # Up and published after `web`: once it answers, `web` has had its time.
                       last=server("0.0.0.0:80", publish=["127.0.0.1:0:80"]))
        with Running(box, "run", manifest) as running:
            port, last = (running.port(f"aeon: {name}: listening on") for name in ("web", "last"))
            check(b"200 OK" in served(last), "the other server does not answer")
            if reached:
                check(b"200 OK" in fetched(port), "it is not reached through its published port")
            else:
                check(all(refused(port) for _ in range(3)), "it is reached through its published port")
            running.stopped()
        printed = all_replayed(box, [143, 0 if reached else 1, 143])
        check((b"200 OK" in printed[1]) == reached, f"the neighbour printed {printed[1]}")
        calls = [json.loads(line) for line in
                 box.aeon("trace", "--json", box.runs()[0]["id"], expect=0).out.splitlines()]
        check(any(c.get("call") == "sock_listen" and c.get("result") == 0 for c in calls), "it does not listen at all")
        accepted = any(c.get("call", "").startswith("sock_accept") and c.get("result") == 0 for c in calls)
        check(accepted == reached, f"it has {'not ' * reached}accepted somebody")
    return case(run)


@case
def same_port(box):
    """Two guests bind the same port; each is published under one of its own, and has the other as its neighbour."""
    manifest = app(box, a=server("0.0.0.0:80", 2, publish=["127.0.0.1:0:80"]),
                   b=server("0.0.0.0:80", 1, publish=["127.0.0.1:0:80"]), c=client("http://a/none"))
    with Running(box, "run", manifest) as running:
        ports = [running.port(f"aeon: {name}: listening on") for name in "ab"]
        check(ports[0] != ports[1], "both are published under one port")
        for port in ports:
            check(served(port).endswith(b"hello\n"), "another answer")
        running.ended()
    printed = all_replayed(box, [0, 0, 0])
    check(printed[2].endswith(b"not found\n"), f"the client printed {printed[2]}")


@case
def udp(box):
    """Datagrams to a published port, from two clients in turn; answers come from where they were sent to."""
    sizes = [1, 512, 1472, 20000, 0]
    manifest = app(box, echo={"module": guest("udp_echo.wasm"), "args": ["0.0.0.0", "53", str(2 * len(sizes))],
                              "publish": ["127.0.0.1:0:53/udp"]})
    with Running(box, "run", manifest) as running:
        port = running.port()
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for size in sizes:
            for s in clients:
                data = os.urandom(size)
                s.settimeout(1)
                for attempt in range(PATIENCE):
                    s.sendto(data, ("127.0.0.1", port))
                    try:
                        got, source = s.recvfrom(65536)
                        break
                    except (socket.timeout, ConnectionRefusedError):
                        check(running.process.poll() is None and attempt < PATIENCE - 1, "no answer")
                        time.sleep(0.05)
                check((got, source) == (data, ("127.0.0.1", port)), f"of {size} bytes came back {len(got)}, {source}")
        for s in clients:
            s.close()
        live = running.ended()
    check(live.out.count(b" bytes from ") == 2 * len(sizes), f"{live}")
    all_replayed(box, [0])


@case
def fair(box):
    """A guest that computes without end leaves another its time. How late that one's timers were is only reported."""
    if not shutil.which("wat2wasm"):
        return "skipped: no wat2wasm on this machine"
    program("wat2wasm", write(box, "loop.wat", LOOP), "-o", "loop.wasm", cwd=box.work)
    manifest = app(box, loop={"module": "loop.wasm"}, timer={"module": guest("timer.wasm")})
    with Running(box, "run", manifest) as running:
        said = running.until("500 timers.*\n", "out")[0]
        running.stopped()
    run = {os.path.basename(r["module"]): r for r in box.runs()}
    check("SIGTERM" in run["loop.wasm"]["outcome"], f"the loop ended: {run}")
    replayed(box, run["timer.wasm"]["id"], said)
    replayed(box, run["loop.wasm"]["id"], b"", 143)
    return said.decode().strip()


CASES = {"names": names, "bound-loopback": bound("127.0.0.1:80", False), "bound-all": bound("0.0.0.0:80", True),
         "same-port": same_port, "udp": udp, "fair": fair}

if __name__ == "__main__":
    main(CASES)
