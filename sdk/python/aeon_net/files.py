"""Files beneath /net: a socket is known by its number there (`@7`), which fstat tells, because a descriptor's number may
mean one thing to the interpreter and another one outside."""

import os
import stat

CHUNK = 16384


def open_file(path, flags=os.O_RDWR):
    """A descriptor; errors are of the connection, not of a file."""
    try:
        return os.open("/net/" + path, flags)
    except OSError as e:
        raise OSError(e.errno, e.strerror) from None


def do(path):
    """What is done by opening."""
    os.close(open_file(path, os.O_RDONLY))


def read_text(path):
    fd = open_file(path, os.O_RDONLY)
    try:
        parts = []
        while True:
            part = os.read(fd, CHUNK)
            if not part:
                return b"".join(parts).decode()
            parts.append(part)
    finally:
        os.close(fd)


def write_text(path, text):
    fd = open_file(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def name_of(fd):
    """How files call this descriptor."""
    st = os.fstat(fd)
    return "@%d" % st.st_ino if stat.S_ISSOCK(st.st_mode) else str(fd)


def join(host, port):
    return ("[%s]:%s" if ":" in host else "%s:%s") % (host, port)


def split(text):
    """ADDR:PORT as Python's address."""
    host, _, port = text.strip().rpartition(":")
    if host.startswith("["):
        return (host[1:-1], int(port), 0, 0)
    return (host, int(port))
