#!/usr/bin/env python3
"""The C examples on sdk/c as guests: the HTTP server with Python's client and with hostile requests, on a listener that
it was given and on an address of its own; the HTTP client, the UDP echo and the TLS client with servers of ours. Each
run is then replayed, and says the same."""

import http.client
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

AEON, GUESTS = os.environ["AEON"], Path(os.environ["AEON_GUESTS"])
WAIT_S = 120  # a guard against hanging
POLICY = """
egress:
  - allow: any
    to: [127.0.0.0/8]
ingress:
  - allow: any
    on: 127.0.0.1
"""


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r:.500}, wanted {wanted!r:.500}")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Guest:
    """A run of a guest; when it has ended, it is replayed."""

    def __init__(self, name, args, options=(), stdin=b""):
        self.name = name
        self.stdin = tempfile.TemporaryFile()
        self.stdin.write(stdin)
        self.stdin.seek(0)
        command = [AEON, "run", "-q", *options, str(GUESTS / f"{name}.wasm"), *args]
        self.process = subprocess.Popen(command, stdin=self.stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, code=0):
        out, err = self.process.communicate(timeout=WAIT_S)
        if self.process.returncode != code:
            sys.exit(f"{self.name}: exit {self.process.returncode}: {err.decode(errors='replace')}")
        again = subprocess.run([AEON, "replay", "last"], capture_output=True, timeout=WAIT_S)
        check(f"{self.name}, replayed", (again.returncode, again.stdout), (code, out))
        return out


def connect(port):
    """Until somebody listens there."""
    for _ in range(WAIT_S * 20):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        except ConnectionRefusedError:
            threading.Event().wait(0.05)
    sys.exit(f"nobody listens on port {port}")


def receive_all(s):
    data = b""
    try:
        while piece := s.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def use_http(port):
    """Requests of every kind; answers how many."""
    connect(port).close()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    body = random.Random(1).randbytes(700_001)
    chunks = [body[i:i + 7001] for i in range(0, len(body), 7001)]
    plan = [("GET", "/", None, 200, b"hello\n")] * 3 + [
        ("HEAD", "/", None, 200, b""), ("GET", "/nope", None, 404, b"not found\n"),
        ("DELETE", "/", None, 405, b"method not allowed\n"), ("POST", "/echo", body, 200, body),
        ("PUT", "/echo", b"", 200, b""), ("POST", "/echo", chunks, 200, body), ("GET", "/", None, 200, b"hello\n")]
    for method, path, data, status, wanted in plan:
        chunked = isinstance(data, list)
        client.request(method, path, iter(data) if chunked else data, encode_chunked=chunked,
                       headers={"Transfer-Encoding": "chunked"} if chunked else {})
        response = client.getresponse()
        check(f"{method} {path}", (response.status, response.read()), (status, wanted))
    client.close()

    with connect(port) as s:  # many at once, the last with an end
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        check("pipelined", receive_all(s).count(b"HTTP/1.1 200 OK\r\n"), 51)
    with connect(port) as s:  # byte by byte
        for byte in b"POST /echo HTTP/1.0\r\ncontent-length:  3 \r\n\r\nabc":
            s.sendall(bytes([byte]))
        check("byte by byte", receive_all(s).endswith(b"\r\nContent-Length: 3\r\n\r\nabc"), True)
    with connect(port) as s:
        s.sendall(b"POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        check("continue", s.recv(25, socket.MSG_WAITALL), b"HTTP/1.1 100 Continue\r\n\r\n")
        s.sendall(b"ok")
    bad = [(b"GARBAGE\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 505), (b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
           (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
           (b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
           (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
           (b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
           (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
           (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
           (b"GET / HTTP/1.1\r\nA: " + b"x" * 20000, 431)]
    for request, status in bad:
        with connect(port) as s:
            s.sendall(request)
            check(request[:60], b"HTTP/1.1 %d " % status in receive_all(s), True)
    return len(plan) + 51 + 2 + len(bad)


def http_server(policy):
    count = 10 + 51 + 2 + 10
    port = free_port()
    given = Guest("http_server", ["-", str(count)], ["--listen", f"127.0.0.1:{port}"])
    check("requests", use_http(port), count)
    given.end()
    port = free_port()
    own = Guest("http_server", [f"127.0.0.1:{port}", str(count + 1)], ["--policy", policy])
    use_http(port)
    other = subprocess.run([AEON, "run", "-q", "--policy", policy, str(GUESTS / "http_client.wasm"),
                            f"http://127.0.0.1:{port}/"], capture_output=True, timeout=WAIT_S)
    check("a guest as client of a guest", other.stdout.endswith(b"\r\n\r\nhello\n"), True)
    own.process.wait(timeout=WAIT_S)


def serve_once(listener, respond, wrap=lambda s: s):
    def run():
        try:
            with wrap(listener.accept()[0]) as s:
                respond(s)
        except (ssl.SSLError, OSError):
            pass  # of a client that did not want it

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def http_client(policy):
    heads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def respond(s):
            heads.append(s.recv(65536))
            s.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000)

        thread = serve_once(listener, respond)
        out = Guest("http_client", [f"http://127.0.0.1:{port}/a/b?c"], ["--policy", policy]).end()
        thread.join()
        check("response", out, b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000)
        check("request", heads[0].startswith(b"GET /a/b?c HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n" % port), True)
    Guest("http_client", [f"http://127.0.0.1:{port}/"], ["--policy", policy]).end(1)  # nobody listens any more


def udp_echo(policy):
    port = free_port(socket.SOCK_DGRAM)
    sizes = [1, 4000, 0, 60000]
    guest = Guest("udp_echo", ["127.0.0.1", str(port), str(len(sizes))], ["--policy", policy])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.bind(("127.0.0.1", 0))
        for size in sizes:
            data, got = b"d" * size, None
            while got is None:
                s.sendto(data, ("127.0.0.1", port))
                try:
                    got = s.recv(65536)
                except (TimeoutError, ConnectionRefusedError):
                    if guest.process.poll() is not None:
                        guest.end()
                        sys.exit("udp_echo ended too soon")
            check("datagram", got, data)
        own = s.getsockname()[1]
    lines = guest.end().decode().splitlines()
    check("senders", lines, [f"{size} bytes from 127.0.0.1 port {own}" for size in sizes])


def tls_client(policy, directory):
    key, cert = directory / "key.pem", directory / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)

    def greet(s):
        s.sendall(b"you said " + s.recv(100))
        s.unwrap()  # an end without goodbye would be an error, and is

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    trusting = directory / "trusting.yaml"
    trusting.write_text(POLICY + "tls:\n  ca: cert.pem\n")
    for path, code, wanted in (trusting, 0, b"you said hi\n"), (policy, 1, b""):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            thread = serve_once(listener, greet, lambda s: context.wrap_socket(s, server_side=True))
            guest = Guest("tls_client", ["127.0.0.1", str(port)], ["--policy", str(path)], b"hi\n")
            check("over TLS", guest.end(code), wanted)
            thread.join()


def main():
    wanted = ["http_server", "http_client", "udp_echo", "tls_client"]
    missing = [name for name in wanted if not (GUESTS / f"{name}.wasm").exists()]
    if missing:
        print(f"no {missing[0]}.wasm; see tools/guests.sh")
        return 77
    shutil.rmtree(os.environ["AEON_HOME"], ignore_errors=True)
    with tempfile.TemporaryDirectory() as directory:
        policy = Path(directory) / "net.yaml"
        policy.write_text(POLICY)
        http_server(str(policy))
        http_client(str(policy))
        udp_echo(str(policy))
        tls_client(str(policy), Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
