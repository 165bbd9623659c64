#!/usr/bin/env python3
"""Stock CPython on the network: sdk/python over the files beneath /net. Each case runs live, against a server or with
clients of this process, and is then replayed with nobody there; both print the same.

    python_net.py [CASE...]"""
import asyncio
import concurrent.futures
import functools
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

from box import Box, check, guest, main

HERE = os.path.dirname(os.path.abspath(__file__))
SDK = os.path.realpath(os.path.join(HERE, "..", "..", "sdk", "python"))
EXAMPLES = os.path.realpath(os.path.join(HERE, "..", "..", "examples", "python"))
CONNECTIONS = 100

POLICY = """
egress:
  - allow: any
    to: 127.0.0.0/8
ingress:
  - allow: any
    on: 127.0.0.1
"""

INSIDE = """
import asyncio, socket

async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()

async def client(i, port, together):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    await together.wait()
    answers = []
    for k in range(3):
        writer.write(b'client %d says %d\\n' % (i, k))
        await writer.drain()
        answers.append(await reader.readline())
    writer.close()
    await writer.wait_closed()
    assert answers == [b'CLIENT %d SAYS %d\\n' % (i, k) for k in range(3)], answers

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        self.transport.sendto(data[::-1], address)

class Ask(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer
    def connection_made(self, transport):
        transport.sendto(b'drawer')
    def datagram_received(self, data, address):
        self.answer.set_result(data)

async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    together = asyncio.Barrier(CONNECTIONS)
    await asyncio.gather(*(client(i, port, together) for i in range(CONNECTIONS)))
    print('all clients served')
    server.close()
    await server.wait_closed()
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=('127.0.0.1', 0))
    answer = loop.create_future()
    await loop.create_datagram_endpoint(lambda: Ask(answer), remote_addr=echo.get_extra_info('sockname'))
    print('datagram', await answer)
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except asyncio.TimeoutError:
        print('timer')
    for address in (('127.0.0.1', 1), ('10.1.2.3', 80)):
        try:
            await asyncio.open_connection(*address)
        except OSError as e:
            print(type(e).__name__)
    try:
        await loop.getaddrinfo('no-such-name.invalid', 80)
    except socket.gaierror:
        print('no name')
    print(await loop.run_in_executor(None, sum, [1, 2, 3]))

asyncio.run(main())
""".replace("CONNECTIONS", str(CONNECTIONS))
INSIDE_SAYS = ["all clients served", "datagram b'reward'", "timer", "ConnectionRefusedError", "PermissionError",
               "no name", "6", ""]

CLIENT = """
import asyncio, sys

async def client(i, port):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(b'%d\\n' % i)
    await writer.drain()
    greeting = await reader.readline()
    data = await reader.read()
    writer.close()
    await writer.wait_closed()
    return greeting, len(data), sum(data) % 65536

async def main():
    for answer in await asyncio.gather(*(client(i, int(sys.argv[1])) for i in range(CONNECTIONS))):
        print(*answer)

asyncio.run(main())
""".replace("CONNECTIONS", str(CONNECTIONS))

HTTP_CLIENT = """
import http.client, sys, urllib.error, urllib.request
port = int(sys.argv[1])
connection = http.client.HTTPConnection('127.0.0.1', port)
for path in ('/text', '/large', '/none'):
    connection.request('GET', path)
    answer = connection.getresponse()
    body = answer.read()
    print(path, answer.status, len(body), sum(body))
body = bytes(range(256)) * 1000
connection.request('POST', '/count', iter([body[:1000], body[1000:]]), encode_chunked=True,
                   headers={'Transfer-Encoding': 'chunked'})
print(connection.getresponse().read())
connection.close()
print(urllib.request.urlopen('http://127.0.0.1:%d/text' % port).read())
try:
    urllib.request.urlopen('http://127.0.0.1:1/')
except urllib.error.URLError as e:
    print(e.reason)
"""

HTTPS_CLIENT = """
import asyncio, http.client, ssl, sys, urllib.request
port = int(sys.argv[1])
connection = http.client.HTTPSConnection('127.0.0.1', port)
connection.request('GET', '/text')
answer = connection.getresponse()
print(answer.status, answer.read())
print(len(urllib.request.urlopen('https://127.0.0.1:%d/large' % port).read()))

async def main():
    reader, writer = await asyncio.open_connection('127.0.0.1', port, ssl=True)
    writer.write(b'GET /text HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    head = await reader.readuntil(b'\\r\\n\\r\\n')
    print(head.split(b'\\r\\n')[0], await reader.readexactly(10))
    writer.close()

asyncio.run(main())
with open('/net/tls/127.0.0.1:%d' % port, 'r+b', buffering=0) as f:
    f.write(b'GET /text HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
    print(f.read(15))
"""

SOCKETS = """
import select, socket, socketserver, sys, time
began = time.monotonic()
time.sleep(0.02)
print('slept', time.monotonic() - began >= 0.02)
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname(), timeout=5)
server, address = listener.accept()
print(address == client.getsockname(), client.getpeername() == listener.getsockname())
client.sendall(b'abc')
print(server.recv(2), server.recv(2))
client.settimeout(0.01)
try:
    client.recv(1)
except TimeoutError as e:
    print('time-out', e)
client.setblocking(False)
try:
    client.recv(1)
except BlockingIOError:
    print('would block')
print([r is server for r in select.select([server, listener], [], [], 0.01)[0]],
      [w is server for w in select.select([], [server], [], 1)[1]])
poll = select.poll()
poll.register(server, select.POLLIN | select.POLLOUT)
print(poll.poll(10) == [(server.fileno(), select.POLLOUT)])
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), client.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
      == socket.SOCK_STREAM)
with server.makefile('rw') as file:
    file.write('a line\\n')
    file.flush()
    client.setblocking(True)
    print(client.makefile().readline())
    client.shutdown(socket.SHUT_WR)
    print(repr(file.read()))
server.close()
print(client.recv(1))
a, b = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
a.bind(('127.0.0.1', 0))
b.sendto(b'datagram', a.getsockname())
data, address = a.recvfrom(100)
a.sendto(data.upper(), address)
print(b.recv(4), socket.getaddrinfo('localhost', 'http', socket.AF_INET, socket.SOCK_STREAM)[0][4])
a.close()
try:
    a.recv(1)
except OSError as e:
    print(type(e).__name__)
for address in (('127.0.0.1', 1), ('169.254.169.254', 80), ('0.0.0.0', 1)):
    try:
        socket.create_connection(address)
    except OSError as e:
        print(address[0], type(e).__name__)
one, other = socket.socketpair()
one.send(b'pair')
print(other.recv(9), one.dup().fileno() != one.fileno())
"""
SOCKETS_SAY = ["slept True", "True True", "b'ab' b'c'", "time-out timed out", "would block", "[] [True]", "True",
               "1 True", "a line", "", "''", "b''", "b'DATA' ('127.0.0.1', 80)", "OSError",
               "127.0.0.1 ConnectionRefusedError", "169.254.169.254 PermissionError",
               "0.0.0.0 ConnectionRefusedError", "b'pair' True", ""]


class Python(Box):
    """A box in which a stock Python is started."""

    def __init__(self, module):
        self.module = module

    def prepared(self, script, policy=POLICY):
        for name, text in (("script.py", script), ("net.yaml", policy)):
            with open(os.path.join(self.work, name), "w", encoding="utf-8") as f:
                f.write(text)
        library = guest("python-3.11/usr")
        return (["--policy", "net.yaml", "--env", "PYTHONPATH=/sdk", "--env", "PYTHONDONTWRITEBYTECODE=1",
                 "--dir", SDK + ":/sdk:ro", "--dir", ".:/work:ro"] +
                (["--dir", library + ":/usr:ro"] if "3.11" in self.module else []))

    def live(self, script, *args, options=(), policy=POLICY):
        options = [*self.prepared(script, policy), *options]
        return self.aeon("run", "-q", *options, guest(self.module), "/work/script.py", *args, expect=0)

    def begun(self, script, *args, options=(), policy=POLICY):
        options = [*self.prepared(script, policy), *options]
        return self.start("run", *options, guest(self.module), "/work/script.py", *args, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def replayed(self, out, status=0):
        """The last run says the same again, with nobody to talk to and the guest's files gone."""
        run_id = self.last_id()
        again = self.replay_elsewhere(run_id)
        check(again.out == out and again.status == status, f"live {out!r}, {status}; replayed: {again}")
        self.aeon("verify", run_id, expect=0)
        return f"{self.runs()[-1]['records']} records"


def case(module):
    """Skips where the interpreter is not there."""
    def decorate(function):
        @functools.wraps(function)
        def run():
            if not os.path.exists(guest(module)):
                return f"skipped: {guest(module)} is not there (tools/guests.sh brings it)"
            with Python(module) as box:
                return function(box)
        return run
    return decorate


def inside(script, says):
    def run(box):
        live = box.live(script)
        check(live.out.decode().split("\n") == says, f"it said: {live}")
        return box.replayed(live.out)
    return run


# ---- clients of this process ----

def ask(port, i):
    """One exchange: two lines, the second while all others are connected too."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        f = s.makefile("rwb")
        for k in range(2):
            f.write(b"%d %d\n" % (i, k))
            f.flush()
            answer = f.readline()
            check(answer == b"%d %d\n" % (i, k), f"client {i} got {answer!r}")
            if k == 0:
                ask.together.wait(120)


SERVER = """
import asyncio, sys
served = 0

async def serve(reader, writer):
    global served
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()
    served += 1
    if served == int(sys.argv[1]):
        done.set()

async def main():
    global done
    done = asyncio.Event()
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print('port', server.sockets[0].getsockname()[1], flush=True)
    await done.wait()
    print('served', served)

asyncio.run(main())
"""


def finish(process, what, timeout=120):
    try:
        rest = process.stdout.read()
        status = process.wait(timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    err = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    check(status == 0, f"{what} ended with {status}: {rest!r} {err!r}")
    return rest


def asyncio_server(box):
    process = box.begun(SERVER, str(CONNECTIONS))
    try:
        first = process.stdout.readline()
        check(first.startswith(b"port "), f"it said {first!r}")
        ask.together = threading.Barrier(CONNECTIONS)
        with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(functools.partial(ask, int(first.split()[1])), range(CONNECTIONS)))
    except BaseException:
        process.kill()
        process.wait()
        raise
    rest = finish(process, "the server")
    check(rest == b"served %d\n" % CONNECTIONS, f"it said {rest!r}")
    return box.replayed(first + rest)


# ---- servers of this process ----

def asyncio_client(box):
    """Greets nobody before all are there."""
    connected, everybody = 0, asyncio.Event()

    async def serve(reader, writer):
        nonlocal connected
        i = int(await reader.readline())
        connected += 1
        if connected == CONNECTIONS:
            everybody.set()
        await everybody.wait()
        writer.write(b"hello %d\n" % i + bytes([i]) * (1000 * i))
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=CONNECTIONS)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await asyncio.to_thread(box.live, CLIENT, str(port))

    live = asyncio.run(run())
    expected = "".join(f"{b'hello %d' % i + bytes([10])!r} {1000 * i} {1000 * i * i % 65536}\n"
                       for i in range(CONNECTIONS))
    check(live.out.decode() == expected, f"it said: {live}")
    return box.replayed(live.out)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = {"/text": b"some text\n", "/large": bytes(range(251)) * 4000}

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = self.bodies.get(self.path)
        self.answer(200 if body else 404, body or b"there is none\n")

    def do_POST(self):
        size = total = 0
        while n := int(self.rfile.readline(), 16):
            body = self.rfile.read(n)
            size, total = size + n, total + sum(body)
            self.rfile.readline()
        self.rfile.readline()
        self.answer(200, b"%d bytes, sum %d" % (size, total))

    def log_message(self, *_):
        pass


def http_client(box):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        live = box.live(HTTP_CLIENT, str(server.server_port))
        server.shutdown()
    large = Handler.bodies["/large"]
    expected = [f"/text 200 10 {sum(b'some text' + bytes([10]))}", f"/large 200 {len(large)} {sum(large)}",
                f"/none 404 14 {sum(b'there is none' + bytes([10]))}",
                f"b'256000 bytes, sum {sum(range(256)) * 1000}'", r"b'some text\n'", "[Errno 14] Connection refused",
                ""]
    check(live.out.decode().split("\n") == expected, f"it said: {live}")
    return box.replayed(live.out)


def https_client(box):
    """The host speaks TLS: the program's plain text is what is in the journal."""
    if not shutil.which("openssl"):
        return "skipped: no openssl to make a certificate with"
    cert, key = (os.path.join(box.work, name) for name in ("cert.pem", "key.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # clients that go away
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        live = box.live(HTTPS_CLIENT, str(server.server_port), options=["--ca", "cert.pem"])
        check(live.out.decode().split("\n") == [
            r"200 b'some text\n'", str(len(Handler.bodies["/large"])), r"b'HTTP/1.1 200 OK' b'some text\n'",
            "b'HTTP/1.1 200 OK'", ""], f"it said: {live}")
        remark = box.replayed(live.out)
        trace = box.aeon("trace", box.last_id(), expect=0)
        check(b"GET /text HTTP/1.1" in trace.out, "the plain text is not in the journal")
        bad = box.aeon("run", "-q", *box.prepared(HTTPS_CLIENT), guest(box.module), "/work/script.py",
                       str(server.server_port))
        check(bad.status == 1 and b"SSLError" in bad.err, f"an unknown authority was believed: {bad}")
        server.shutdown()
    return remark


def http_server(box):
    """CPython's http.server on a listener given as descriptor 3, and curl."""
    with open(os.path.join(EXAMPLES, "http_server.py"), encoding="utf-8") as f:
        script = f.read()
    body = bytes(range(256)) * 2000
    with open(os.path.join(box.work, "file"), "wb") as f:
        f.write(body)
    process = box.begun(script, "/work", "3", options=["--listen", "127.0.0.1:0"])
    try:
        while True:
            line = process.stderr.readline().decode()
            check(line, "it ended before it listened")
            port = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
            if port:
                break
        for path, expected in (("file", body), ("none", None), ("file", body)):
            url = f"http://127.0.0.1:{port[1]}/{path}"
            if shutil.which("curl"):
                p = subprocess.run(["curl", "-s", "-f", url], stdout=subprocess.PIPE, timeout=120, check=False)
                got = p.stdout if p.returncode == 0 else None
            else:
                got = fetched(url)
            check(got == expected, f"{url}: {got and len(got)} bytes")
    except BaseException:
        process.kill()
        process.wait()
        raise
    out = finish(process, "the server")
    check(out.count(b"GET /file") == 2, f"it said {out!r}")
    return box.replayed(out)


def fetched(url):
    import urllib.error
    import urllib.request
    try:
        return urllib.request.urlopen(url, timeout=120).read()
    except urllib.error.HTTPError:
        return None


def echo_example(box):
    """examples/python/echo.py with clients for streams and datagrams; it serves until it is stopped."""
    with open(os.path.join(EXAMPLES, "echo.py"), encoding="utf-8") as f:
        script = f.read()
    process = box.begun(script, "0")
    try:
        first = process.stdout.readline()
        check(first.startswith(b"port "), f"it said {first!r}")
        port = int(first.split()[1])
        with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
            data = os.urandom(300000)
            threading.Thread(target=s.sendall, args=(data,), daemon=True).start()
            got = b""
            while len(got) < len(data):
                part = s.recv(65536)
                check(part, f"it ended after {len(got)} bytes")
                got += part
            check(got == data, "what came back is not what was sent")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(120)
            for size in (1, 1400, 60000):
                s.sendto(data[:size], ("127.0.0.1", port))
                check(s.recv(65536) == data[:size], f"a datagram of {size} bytes came back as another one")
    finally:
        process.terminate()
        rest = process.stdout.read()
        process.stdout.close()
        process.stderr.close()
        status = process.wait(120)
    check(status == 128 + 15, f"stopped by a signal, it ended with {status}")
    return box.replayed(first + rest, status)


CASES = {}
for tag, module in (("python311", "python-3.11.wasm"), ("python312", "python.wasm")):
    CASES[tag + "-inside"] = case(module)(inside(INSIDE, INSIDE_SAYS))
    CASES[tag + "-sockets"] = case(module)(inside(SOCKETS, SOCKETS_SAY))
for name, function in (("asyncio-server", asyncio_server), ("asyncio-client", asyncio_client),
                       ("http-client", http_client), ("https-client", https_client),
                       ("http-server", http_server), ("echo", echo_example)):
    CASES["python311-" + name] = case("python-3.11.wasm")(function)

if __name__ == "__main__":
    main(CASES)
