"""asyncio's event loop on one thread: there is nobody who could wake it, so that it needs no pair of sockets for that."""

import sys

from .waiting import Selector


def install(unix_events):
    class EventLoop(unix_events._UnixSelectorEventLoop):
        def __init__(self, selector=None):
            super().__init__(selector or Selector())

        def _make_self_pipe(self):
            self._ssock = self._csock = None

        def _close_self_pipe(self):
            pass

        def _write_to_self(self):
            pass

        def run_in_executor(self, executor, func, *args):
            """At once: there are no threads."""
            self._check_closed()
            future = self.create_future()
            try:
                future.set_result(func(*args))
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as e:
                future.set_exception(e)
            return future

        def _make_ssl_transport(self, rawsock, protocol, sslcontext, waiter=None, *, server_side=False,
                                server_hostname=None, extra=None, server=None, **_):
            """TLS is done outside; here it stays the transport of an ordinary socket."""
            import ssl as tls
            tls.start(rawsock, server_hostname, server_side)
            return self._make_socket_transport(rawsock, protocol, waiter, extra=extra, server=server)

    class EventLoopPolicy(unix_events._UnixDefaultEventLoopPolicy):
        _loop_factory = EventLoop

    unix_events.SelectorEventLoop = EventLoop
    unix_events.DefaultEventLoopPolicy = EventLoopPolicy
    package = sys.modules.get("asyncio")
    if hasattr(package, "DefaultEventLoopPolicy"):  # imported before us
        package.SelectorEventLoop = EventLoop
        package.DefaultEventLoopPolicy = EventLoopPolicy
        package.set_event_loop_policy(EventLoopPolicy())
