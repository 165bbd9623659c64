"""The network for CPython on WASI, as it comes: `socket`, `select`, `time.sleep`, `asyncio` and TLS over the files that
aeon shows beneath /net (docs/net-files.md).

    PYTHONPATH=/sdk                     every program has it (sitecustomize.py calls install)
    import aeon_net; aeon_net.install() the same from within a program

The stock interpreter has these modules, but not what is beneath: it cannot make sockets, and where its library keeps
descriptors of its own numbering, not wait for them either. Here everything is opening, reading and writing files."""

import os
import sys

__all__ = ["available", "install", "listener"]


def available():
    """Whether this program was given the network."""
    try:
        os.stat("/net/tcp")
        return True
    except OSError:
        return False


def install():
    """Puts everything in place; True when the network is there. Without it nothing is changed."""
    if not available():
        return False
    if "aeon_net.sockets" not in sys.modules:
        from . import hooks, sockets, waiting
        sockets.install()
        waiting.install()
        hooks.install()
    return True


def listener(fd=3):
    """The socket that was open from the start as `fd` (aeon run --listen)."""
    from . import sockets
    return sockets.inherited(fd)
