#!/usr/bin/env python3
"""Go on the network through sdk/go: its own tests as a guest, and examples/go with real clients and servers. Each case
runs live and is then replayed with nobody there; both print the same.

    go_net.py [CASE...]"""
import concurrent.futures
import functools
import hashlib
import http.client
import http.server
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

from box import Box, check, guest, main

MANY = 50
WAIT = 120
LISTENING = r"aeon: listening on 127\.0\.0\.1:(\d+)"
BODY = bytes(range(256)) * 12000 + b"end"

POLICY = """
egress:
  - allow: tcp
    to: 127.0.0.1
"""


def replayed(box, out, status=0):
    """The last run says the same again, with nobody to talk to and the guest's files gone."""
    run_id = box.last_id()
    again = box.replay_elsewhere(run_id)
    check(again.out == out and again.status == status, f"live {out!r}, {status}; replayed: {again}")
    box.aeon("verify", run_id, expect=0)
    return f"{box.runs()[-1]['records']} records"


def policy_run(box, module, *args, stdin=b"", options=(), status=0):
    with open(os.path.join(box.work, "net.yaml"), "w", encoding="utf-8") as f:
        f.write(POLICY)
    live = box.aeon("run", "-q", "--policy", "net.yaml", *options, module, *args, stdin=stdin)
    check(live.status == status, f"expected status {status}: {live}")
    return live, replayed(box, live.out, status)


class Running:
    """A guest in the background: ended by a signal when the case is over, unless it ended by itself."""

    def __init__(self, box, *args):
        self.box = box
        self.process = box.start("run", *args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        self.out = b""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
            self.process.wait()
            print(self.process.stderr.read().decode(errors="replace"))
        self.process.stdout.close()
        self.process.stderr.close()

    def says(self, pattern, stream="stdout"):
        """Reads lines until one matches."""
        while True:
            line = getattr(self.process, stream).readline()
            if stream == "stdout":
                self.out += line
            check(line, f"it ended without saying {pattern}; standard output: {self.out!r}")
            found = re.search(pattern, line.decode())
            if found:
                return found

    def ended(self, status, stop=None):
        if stop:
            self.process.send_signal(stop)
        self.out += self.process.stdout.read()
        err = self.process.stderr.read()
        got = self.process.wait(WAIT)
        check(got == status, f"it ended with {got}, not {status}: {self.out[-2000:]!r} {err[-2000:]!r}")
        return replayed(self.box, self.out, status)


def case(module):
    """Skips where the guest is not there."""
    def decorate(function):
        @functools.wraps(function)
        def run():
            if not os.path.exists(guest(module)):
                return f"skipped: {guest(module)} is not there (tools/guests.sh brings it)"
            with Box() as box:
                return function(box, guest(module))
        return run
    return decorate


@case("go_net_test.wasm")
def package(box, module):
    """The package's own tests, on the guest's loopback, with nothing granted but that."""
    live = box.aeon("run", "-q", module, "-test.v")
    check(live.status == 0 and live.out.endswith(b"\nPASS\n"), f"it failed: {live}")
    return replayed(box, live.out)


@case("go_net_test.wasm")
def silent(box, module):
    """Dialling that comes to no end, until its time is over or it is cancelled."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        live, remark = policy_run(box, module, "-test.v", "-test.run", "TestSilent",
                                  options=["--env", "SILENT=127.0.0.1:%d" % listener.getsockname()[1]])
    check(b"\n--- PASS: TestSilent" in live.out, f"it failed: {live}")
    return remark


# ---- clients of this process ----

def curl(*args, data=None):
    p = subprocess.run(["curl", "-sS", "-f", "--max-time", str(WAIT), *args], input=data, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=2 * WAIT, check=False)
    check(p.returncode == 0, f"curl {' '.join(args)}: status {p.returncode}, {p.stderr!r}")
    return p.stdout


def summed(body):
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}\n".encode()


def try_server(port):
    """What curl and 50 connections at once get from the HTTP server."""
    url = f"http://127.0.0.1:{port}"
    if shutil.which("curl"):
        got = curl("-w", "%{num_connects} ", url + "/", url + "/", url + "/").decode()
        check(re.fullmatch(r"(Hello, 127\.0\.0\.1:(\d+)!\n)1 (?:\1)0 (?:\1)0 ", got), f"keep-alive: {got!r}")
        chunked = ("-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-T", "-")
        got = curl("-X", "POST", *chunked, url + "/sum", data=BODY)
        check(got == summed(BODY), f"a chunked upload: {got!r}")
        got = curl("-X", "POST", *chunked, url + "/echo", data=BODY)
        check(got == BODY, f"an echo: {len(got)} bytes, not {len(BODY)}")
    together = threading.Barrier(MANY)

    def half_and_half(i):
        """The second half of the request goes out once all others have sent their first."""
        body = b"%d " % i * 1000
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as s:
            s.sendall(b"POST /sum HTTP/1.1\r\nHost: go\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
            s.sendall(body[:1000])
            together.wait(WAIT)
            s.sendall(body[1000:])
            answer = http.client.HTTPResponse(s)
            answer.begin()
            got = answer.read()
            check(answer.status == 200 and got == summed(body), f"client {i}: {answer.status} {got!r}")

    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        list(pool.map(half_and_half, range(MANY)))


@case("go_http_server.wasm")
def server(box, module):
    """The HTTP server on a listener that was given to it."""
    with Running(box, "--listen", "127.0.0.1:0", module) as running:
        port = running.says(LISTENING, "stderr")[1]
        running.says(rf"serving on 127\.0\.0\.1:{port}$")
        try_server(port)
        remark = running.ended(128 + signal.SIGTERM, signal.SIGTERM)
        check(running.out.count(b"POST /sum ") >= MANY, f"it said {running.out!r}")
        return remark


@case("go_http_server.wasm")
def published(box, module):
    """The HTTP server on a port of its own network that is published."""
    with Running(box, "--publish", "127.0.0.1:0:8080", module) as running:
        port = int(running.says(LISTENING, "stderr")[1])
        running.says(r"serving on 0\.0\.0\.0:8080$")
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: go\r\nConnection: close\r\n\r\n")
            answer = http.client.HTTPResponse(s)
            answer.begin()
            check(answer.read() == b"Hello, 127.0.0.1:%d!\n" % s.getsockname()[1], "it greets another")
        return running.ended(128 + signal.SIGTERM, signal.SIGTERM)


@case("go_udp_echo.wasm")
def udp(box, module):
    """The UDP echo, published, with two clients that take turns."""
    data, sizes = os.urandom(60000), (1, 0, 1400, 60000)
    with Running(box, "--publish", "127.0.0.1:0:7/udp", module, "0.0.0.0:7", str(2 * len(sizes))) as running:
        port = int(running.says(LISTENING, "stderr")[1])
        running.says(r"echoing on 0\.0\.0\.0:7$")
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        try:
            for size in sizes:
                for s in clients:
                    s.settimeout(WAIT)
                    s.sendto(data[:size], ("127.0.0.1", port))
                for s in clients:
                    got, sender = s.recvfrom(65536)
                    check(got == data[:size] and sender == ("127.0.0.1", port), f"{len(got)} of {size} from {sender}")
        finally:
            for s in clients:
                s.close()
        return running.ended(0)


# ---- servers of this process ----

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/meet":
            self.server.together.wait(WAIT)
            self.answer(200, b"met\n")
        elif self.path == "/never":
            self.server.over.wait(WAIT)
            self.close_connection = True
        elif self.path == "/large":
            self.answer(200, BODY)
        else:
            self.answer(404, b"none\n")

    def do_POST(self):
        self.answer(200, summed(self.rfile.read(int(self.headers["Content-Length"]))))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = MANY

    def __enter__(self):
        self.together, self.over = threading.Barrier(MANY), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()

    def url(self, path, scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.server_address[1]}{path}"

    def handle_error(self, *_):
        pass  # a client that gives up


@case("go_http_client.wasm")
def client(box, module):
    """GET and POST, and what is not there."""
    with Server(("127.0.0.1", 0), Handler) as http_server:
        large, none, post = (http_server.url(path) for path in ("/large", "/none", "/"))
        live, _ = policy_run(box, module, large, none)
        check(live.out == b"%s: 200 OK, %d bytes\n" % (large.encode(), len(BODY)) + BODY +
              b"%s: 404 Not Found, 5 bytes\nnone\n" % none.encode(), f"it said: {live}")
        live, remark = policy_run(box, module, "-post", post, stdin=BODY)
        check(live.out.endswith(b"\n" + summed(BODY)), f"it said: {live}")
    return remark


@case("go_http_client.wasm")
def client_many(box, module):
    """50 requests that are answered once all have come."""
    with Server(("127.0.0.1", 0), Handler) as http_server:
        meet = http_server.url("/meet")
        live, remark = policy_run(box, module, "-n", str(MANY), meet)
        check(live.out == b"%s: 200 OK, 4 bytes\nmet\n" % meet.encode() * MANY, f"it said: {live}")
    return remark


@case("go_http_client.wasm")
def client_fails(box, module):
    """No answer, nobody there, and what the policy denies: each an error that says so."""
    with Server(("127.0.0.1", 0), Handler) as http_server, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and never listens
        urls = [http_server.url("/never"), "http://127.0.0.1:%d/" % deaf.getsockname()[1], "http://10.1.2.3/",
                "http://name.example/"]
        live, remark = policy_run(box, module, "-timeout", "3s", *urls, status=1)
    errors = live.err.decode()
    for url, said in zip(urls, ("Timeout exceeded", "onnection refused", "ermission denied", "lookup name.example:")):
        check(any(url in line and said in line for line in errors.splitlines()), f"{url}: not {said!r} in {errors}")
    return remark


@case("go_http_client.wasm")
def client_tls(box, module):
    """https by the host's TLS, whose authority is known or not."""
    if not shutil.which("openssl"):
        return "skipped: no openssl to make a certificate"
    cert, key = (os.path.join(box.root, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with server:
        large = server.url("/large", "https")
        live, remark = policy_run(box, module, large, options=["--ca", cert])
        check(live.out == b"%s: 200 OK, %d bytes\n" % (large.encode(), len(BODY)) + BODY, f"it said: {live}")
        live, _ = policy_run(box, module, large, status=1)
        check(b"aborted" in live.err, f"it trusts whom it does not know: {live}")
    return remark


CASES = {"package": package, "silent": silent, "server": server, "published": published, "udp": udp, "client": client,
         "client-many": client_many, "client-fails": client_fails, "client-tls": client_tls}

if __name__ == "__main__":
    main(CASES)
