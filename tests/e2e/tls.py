#!/usr/bin/env python3
"""TLS that aeon does for its guests, against openssl and curl: certificates are verified, under names that the policy
allows; the record holds plain text and says so; a replay needs neither certificates nor network.

    tls.py [CASE...]"""
import json
import os
import socket
import subprocess
import time

from box import Box, check, guest, main
from net import PATIENCE, Running, connected, missing, program, replayed, write

CLIENT_POLICY = """
egress:
  - allow: tcp
    to: [127.0.0.1, test.example, other.example]
"""
SERVER_POLICY = """
tls:
  servers:
    - {name: test.example, cert: server.pem, key: server.key}
"""
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def certificates(box):
    """An authority (ca.pem) and a certificate of it for test.example (server.pem, server.key)."""
    subject = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    program("openssl", "req", "-x509", *subject, "-subj", "/CN=the test's authority", "-days", "2", "-keyout", "ca.key",
            "-out", "ca.pem", cwd=box.work)
    program("openssl", "req", *subject, "-subj", "/CN=test.example", "-keyout", "server.key", "-out", "server.csr",
            cwd=box.work)
    write(box, "names", "subjectAltName=DNS:test.example\n")
    program("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.pem", cwd=box.work)


class OpenSsl:
    """`openssl s_server -www` on a free port."""

    def __init__(self, box):
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{self.port}",
                                         "-cert", "server.pem", "-key", "server.key"], cwd=box.work,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connected(self.port).close()
                return
            except OSError:
                check(self.process.poll() is None and time.monotonic() < deadline, "openssl s_server does not start")
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def case(*programs):
    def decorate(function):
        def run():
            if lacks := missing("openssl", *programs):
                return lacks
            with Box() as box:
                certificates(box)
                return function(box)
        return run
    return decorate


def traced(box, run_id):
    """The calls of sockets, and the notes about TLS."""
    lines = [json.loads(line) for line in box.aeon("trace", "--json", run_id, expect=0).out.splitlines()]
    return ([line for line in lines if line.get("call", "").startswith("sock_")],
            [line["note"] for line in lines if line.get("note", "").lower().startswith("tls ")])


def says_plaintext(box, run_id, text):
    """The record has the text of the connection, and that aeon was told to do TLS there. What it notes."""
    calls, notes = traced(box, run_id)
    check(any(text in json.dumps(line) for line in calls), f"no call has {text!r}")
    check(any(line["args"].get("option") == "START_TLS" and line["args"]["value"] == "test.example" and
              line["result"] == 0 for line in calls), "no call that begins TLS")
    return notes


@case()
def client(box):
    """A guest fetches a page by TLS; three ways not to."""
    with OpenSsl(box) as server:
        policy = write(box, "net.yaml", CLIENT_POLICY)

        def fetch(name, *options, expect):
            return box.aeon("run", "--policy", policy, *options, guest("tls_client.wasm"), "127.0.0.1",
                            str(server.port), name, stdin=REQUEST, expect=expect, timeout=PATIENCE)

        fetched = [(fetch("test.example", "--ca", "ca.pem", expect=0), 0)]
        check(fetched[0][0].out.startswith(b"HTTP/1.0 200 ok\r\n") and b"</pre>" in fetched[0][0].out.lower(),
              f"no page came: {fetched[0][0]}")
        fetched.append((fetch("test.example", expect=1), 1))
        fetched.append((fetch("other.example", "--ca", "ca.pem", expect=1), 1))
        fetched.append((fetch("evil.example", "--ca", "ca.pem", expect=1), 1))
        for (live, _), reason in zip(fetched[1:], ("an authority nobody trusts", "another name", "a name not allowed")):
            check(live.out == b"", f"{reason}: {live}")
    check(b"evil.example" in fetched[3][0].err and b"denied" in fetched[3][0].err, f"no denial: {fetched[3][0]}")
    os.remove(os.path.join(box.work, "ca.pem"))
    runs = box.runs()
    for run, (live, status) in zip(runs, fetched):
        replayed(box, run["id"], live.out, status)
    notes = says_plaintext(box, runs[0]["id"], "HTTP/1.0 200 ok")
    check(any("test.example: the record has the plaintext" in note for note in notes), f"the notes say: {notes}")
    for run, reason in zip(runs[1:], ("from an authority that is not trusted here", "is for test.example, not for "
                                      "other.example", "as evil.example: denied: no egress rule")):
        _, notes = traced(box, run["id"])
        check(any(reason in note for note in notes), f"'{reason}' is not noted: {notes}")


def serving(box, count, how):
    policy = write(box, "net.yaml", SERVER_POLICY)
    options, where = (["--listen", "127.0.0.1:0"], []) if how == "listen" else (
        ["--publish", "127.0.0.1:0:443"], ["0.0.0.0", "443"])
    return Running(box, "run", "--policy", policy, *options, guest("tls_server.wasm"), "test.example", str(count),
                   *where)


def until_served(port):
    """A published port answers once the guest has bound its own; only connects that are refused do not count."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return connected(port)
        except ConnectionRefusedError:
            check(time.monotonic() < deadline, "nobody serves")
            time.sleep(0.05)


def server(how):
    @case("curl")
    def run(box):
        """openssl and curl at a guest; somebody who does not speak TLS."""
        with serving(box, 4, how) as running:
            port = running.port()
            with until_served(port) as s:
                s.sendall(b"GET /no-tls HTTP/1.0\r\n\r\n")
                while s.recv(1000):
                    pass
            out = program("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "test.example",
                          "-CAfile", "ca.pem", "-verify_return_error", "-verify_hostname", "test.example", "-quiet",
                          stdin=b"GET /openssl HTTP/1.0\r\n\r\n", cwd=box.work, expect=None)
            check(b"GET /OPENSSL HTTP/1.0" in out, f"openssl printed {out!r}")
            curl = ["curl", "-s", "-S", "--noproxy", "*", "--max-time", str(PATIENCE), "--resolve",
                    f"test.example:{port}:127.0.0.1"]
            out = program(*curl, "--cacert", "ca.pem", f"https://test.example:{port}/curl", cwd=box.work)
            check(out.startswith(b"GET /CURL HTTP/1.1"), f"curl printed {out!r}")
            # Curl does not trust it: to the guest, one whose handshake fails.
            program(*curl, f"https://test.example:{port}/distrust", expect=60)
            live = running.ended()
        said = live.out.decode()
        check("GET /openssl HTTP/1.0\n" in said and "GET /curl HTTP/1.1\n" in said and "/no-tls" not in said and
              "/distrust" not in said, f"the guest printed {said!r}")
        for name in ("server.pem", "server.key", "ca.pem"):
            os.remove(os.path.join(box.work, name))
        run_id = box.last_id()
        replayed(box, run_id, live.out)
        says_plaintext(box, run_id, "GET /curl HTTP/1.1")
    return run


if __name__ == "__main__":
    main({"client": client, "server": server("listen"), "server-published": server("publish")})
