#!/usr/bin/env python3
"""A program that nobody here wrote, on the first generation of the socket extension: QuickJS fetches pages from an HTTP
server outside, and again from the record with the server gone.

    quickjs.py"""
import http.server
import os
import threading

from box import Box, check, guest, main
from net import replayed, write

SCRIPT = """
import * as net from 'wasi_net';
const text = bytes => Array.from(new Uint8Array(bytes), b => String.fromCharCode(b)).join('');
async function fetched(host, path) {
    let conn = await net.WasiTcpConn.connect(host);
    conn.write(`GET ${path} HTTP/1.0\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n`);
    let answer = '';
    for (let part = await conn.read(); part && part.byteLength; part = await conn.read())
        answer += text(part);
    let end = answer.indexOf('\\r\\n\\r\\n');
    let body = answer.slice(end + 4), sum = 0;
    for (let i = 0; i < body.length; i++)
        sum = (sum * 31 + body.charCodeAt(i)) % 65521;
    print(path, answer.split('\\r\\n')[0], body.length, sum);
}
async function main() {
    for (let path of ['/small', '/large', '/none'])
        await fetched('127.0.0.1:PORT', path);
}
main().catch(e => print('failed', e));
"""
PAGES = {"/small": b"a small page\n", "/large": bytes(range(1, 128)) * 3000}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGES.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body or b"none\n")

    def log_message(self, *_):
        pass


def line(path):
    body, total = PAGES.get(path, b"none\n"), 0
    for byte in body:
        total = (total * 31 + byte) % 65521
    return f"{path} HTTP/1.0 {'200 OK' if path in PAGES else '404 Not Found'} {len(body)} {total}\n"


def fetch():
    module = guest("quickjs.wasm")
    if not os.path.exists(module):
        return f"skipped: {module} is not there (tools/guests.sh brings it)"
    with Box() as box:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            os.mkdir(os.path.join(box.work, "data"))
            write(box, "data/fetch.js", SCRIPT.replace("PORT", str(server.server_port)))
            policy = write(box, "net.yaml", "egress:\n  - {allow: tcp, to: 127.0.0.1, "
                           f"ports: {server.server_port}}}\n")
            live = box.aeon("run", "-q", "--policy", policy, "--dir", "data:/data:ro", module, "/data/fetch.js",
                            expect=0)
            server.shutdown()
        expected = "".join(line(path) for path in ("/small", "/large", "/none"))
        check(live.out.decode() == expected, f"{expected!r} expected: {live}")
        replayed(box, box.last_id(), live.out)
        return f"{box.runs()[-1]['records']} records"


if __name__ == "__main__":
    main({"fetch": fetch})
