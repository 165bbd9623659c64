"""Serves its working directory on a listener that was open from the start:

    aeon run --listen 127.0.0.1:8080 --dir sdk/python:/sdk:ro --env PYTHONPATH=/sdk --dir .:/www:ro \\
        python.wasm /www/http_server.py /www

With a number after the directory it ends after so many requests."""
import functools
import http.server
import socket
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = None

    def log_message(self, *args):
        print(self.command, self.path, args[2] if len(args) > 2 else "", flush=True)


class Server(http.server.HTTPServer):
    def server_bind(self):
        self.socket.close()
        self.socket = socket.socket(fileno=3)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def server_activate(self):
        pass  # it listens already


def main():
    directory = sys.argv[1] if len(sys.argv) > 1 else "."
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else None
    server = Server(("", 0), functools.partial(Handler, directory=directory))
    if requests is None:
        server.serve_forever()
    for _ in range(requests):
        server.handle_request()


main()
