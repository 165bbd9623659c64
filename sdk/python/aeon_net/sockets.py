"""The module `socket` over the files beneath /net."""

import errno
import io
import os
import socket as stock

import _socket

from . import files
from .waiting import READ, WRITE, wait_for

AF_UNSPEC, AF_INET, AF_INET6 = stock.AF_UNSPEC, stock.AF_INET, stock.AF_INET6
SOCK_STREAM, SOCK_DGRAM = stock.SOCK_STREAM, stock.SOCK_DGRAM
SOL_SOCKET, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6 = _socket.SOL_SOCKET, stock.IPPROTO_TCP, stock.IPPROTO_UDP, \
    stock.IPPROTO_IPV6
DATAGRAM_MAX = 65536
HEADER_MAX = 128

# what the stock module lacks
CONSTANTS = {
    "SO_REUSEADDR": 2, "SO_ERROR": 4, "SO_DONTROUTE": 5, "SO_BROADCAST": 6, "SO_SNDBUF": 7, "SO_RCVBUF": 8,
    "SO_KEEPALIVE": 9, "SO_OOBINLINE": 10, "SO_LINGER": 13, "SO_REUSEPORT": 15, "SO_RCVLOWAT": 18,
    "SO_RCVTIMEO": 66, "SO_SNDTIMEO": 67, "SO_ACCEPTCONN": 30,
}
_OPTIONS = {(SOL_SOCKET, number): name[3:] for name, number in CONSTANTS.items()}
_OPTIONS.update({(IPPROTO_TCP, getattr(stock, "TCP_" + name)): name
                 for name in ("NODELAY", "KEEPIDLE", "KEEPINTVL", "KEEPCNT")})
_OPTIONS[(IPPROTO_IPV6, stock.IPV6_V6ONLY)] = "V6ONLY"
_IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN)
_SHUTDOWNS = {stock.SHUT_RD: "rd", stock.SHUT_WR: "wr", stock.SHUT_RDWR: "rdwr"}
_default_timeout = None


class socket:
    """A socket; what it cannot do that others can: flags of send and receive, and ancillary data."""

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        self._fd = -1
        self._io_refs = 0
        self._closed = False
        if fileno is not None:
            self._adopt(fileno)
            return
        self.family = AF_INET if family == -1 else stock._intenum_converter(family, stock.AddressFamily)
        self.type = SOCK_STREAM if type == -1 else stock._intenum_converter(type, stock.SocketKind)
        self.proto = 0 if proto == -1 else proto
        if self.family not in (AF_INET, AF_INET6):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        if self.type not in (SOCK_STREAM, SOCK_DGRAM):
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
        kind = "tcp" if self.type == SOCK_STREAM else "udp"
        self._fd = files.open_file("%s/new/%s" % (kind, "inet" if self.family == AF_INET else "inet6"))
        self._name = files.name_of(self._fd)
        self._timeout = None
        self.settimeout(_default_timeout)

    @classmethod
    def _of(cls, fd, family, type, proto=0):
        self = cls.__new__(cls)
        self._fd, self.family, self.type, self.proto = fd, family, type, proto
        self._io_refs, self._closed = 0, False
        self._name = files.name_of(fd)
        self._timeout = None
        return self

    def _adopt(self, fd):
        try:
            self._name = files.name_of(fd)
        except OSError:
            self._name = ""
        if not self._name.startswith("@"):  # then by the number it was given with
            fd = files.open_file("fd/%d" % fd)
            self._name = files.name_of(fd)
        kind = files.read_text("option/%s/TYPE" % self._name).strip()
        self.type = SOCK_DGRAM if kind == "2" else SOCK_STREAM
        self.family = AF_INET6 if files.read_text("local/%s" % self._name).startswith("[") else AF_INET
        self.proto = 0
        self._fd = fd
        self._timeout = None if os.get_blocking(fd) else 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self._closed:
            self.close()

    def __repr__(self):
        return "<%s.%s%s fd=%d, family=%s, type=%s, proto=%d>" % (
            self.__class__.__module__, self.__class__.__qualname__, " [closed]" if self._closed else "",
            self.fileno(), self.family, self.type, self.proto)

    def __getstate__(self):
        raise TypeError("cannot pickle %r object" % self.__class__.__name__)

    def __del__(self):
        if getattr(self, "_fd", -1) >= 0:
            self._real_close()

    # ---- life ----

    def fileno(self):
        return self._fd

    def _real_close(self):
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def close(self):
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _decref_socketios(self):
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    def detach(self):
        fd, self._fd = self._fd, -1
        self._closed = True
        return fd

    def dup(self):
        fd = files.open_file("fd/" + self._name)
        other = self.__class__._of(fd, self.family, self.type, self.proto)
        other.settimeout(self.gettimeout())
        return other

    def get_inheritable(self):
        return False

    def set_inheritable(self, inheritable):
        pass

    # ---- waiting ----

    def settimeout(self, timeout):
        if timeout is not None:
            timeout = float(timeout)
            if timeout < 0:
                raise ValueError("Timeout value out of range")
        if (timeout is None) != (self._timeout is None):
            os.set_blocking(self._fd, timeout is None)
        self._timeout = timeout

    def gettimeout(self):
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag):
        self.settimeout(None if flag else 0.0)

    def getblocking(self):
        return self._timeout != 0

    def _again(self, events, function, *args):
        """`function` again and again until it does not have to wait, or the time is over."""
        while True:
            try:
                return function(*args)
            except BlockingIOError:
                if not self._timeout or not wait_for(self._name, events, self._timeout):
                    if self._timeout:
                        raise TimeoutError("timed out") from None
                    raise

    # ---- connections ----

    def _resolved(self, address):
        host, port = address[0], address[1]
        return getaddrinfo(host or "0.0.0.0", port, self.family, self.type)[0][4] if not _numeric(host) else address

    def bind(self, address):
        host, port = address[:2]
        if not host:
            host = "0.0.0.0" if self.family == AF_INET else "::"
        host, port = self._resolved((host, port))[:2]
        files.do("bind/%s/%s" % (self._name, files.join(host, port)))

    def listen(self, backlog=128):
        files.do("listen/%s/%d" % (self._name, max(0, min(backlog, 65535))))

    def accept(self):
        fd = self._again(READ, files.open_file, "tcp/accept/" + self._name)
        connection = socket._of(fd, self.family, self.type, self.proto)
        try:
            address = connection.getpeername()
            connection.settimeout(_default_timeout)
        except BaseException:
            connection.close()
            raise
        return connection, address

    def connect(self, address):
        host, port = self._resolved(address)[:2]
        try:
            files.do("connect/%s/%s" % (self._name, files.join(host, port)))
        except OSError as e:
            if e.errno not in _IN_PROGRESS or not self._timeout:
                raise
            if not wait_for(self._name, WRITE, self._timeout):
                raise TimeoutError("timed out") from None
            error = self.getsockopt(SOL_SOCKET, CONSTANTS["SO_ERROR"])
            if error:
                raise OSError(error, os.strerror(error)) from None

    def connect_ex(self, address):
        try:
            self.connect(address)
            return 0
        except OSError as e:
            if e.errno is None:
                raise
            return e.errno

    def shutdown(self, how):
        files.do("tcp/shutdown/%s/%s" % (self._name, _SHUTDOWNS[how]))

    def getsockname(self):
        return files.split(files.read_text("local/" + self._name))

    def getpeername(self):
        return files.split(files.read_text("peer/" + self._name))

    # ---- data ----

    def _plain(self, flags):
        if flags:
            raise OSError(errno.ENOTSUP, "flags are not supported")
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def recv(self, bufsize, flags=0):
        self._plain(flags)
        if self.type == SOCK_DGRAM:
            return self.recvfrom(bufsize)[0]
        return self._again(READ, os.read, self._fd, bufsize)

    def recv_into(self, buffer, nbytes=0, flags=0):
        self._plain(flags)
        view = memoryview(buffer).cast("B")
        if nbytes:
            view = view[:nbytes]
        if self.type == SOCK_DGRAM:
            data = self.recvfrom(len(view))[0]
            view[:len(data)] = data
            return len(data)
        return self._again(READ, os.readv, self._fd, [view])

    def recvfrom(self, bufsize, flags=0):
        self._plain(flags)
        if self.type == SOCK_STREAM:
            return self.recv(bufsize), None
        whole = self._again(READ, os.read, self._fd, HEADER_MAX + DATAGRAM_MAX)
        header, _, data = whole.partition(b"\n")
        return data[:bufsize], files.split(header.decode())

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        view = memoryview(buffer).cast("B")
        data, address = self.recvfrom(nbytes or len(view), flags)
        view[:len(data)] = data
        return len(data), address

    def send(self, data, flags=0):
        self._plain(flags)
        if self.type == SOCK_DGRAM:
            return self._send_datagram(b"\n", data)
        return self._again(WRITE, os.write, self._fd, data)

    def sendall(self, data, flags=0):
        self._plain(flags)
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self.send(view):]

    def sendto(self, data, *args):
        flags, address = args if len(args) == 2 else (0, args[0])
        self._plain(flags)
        if self.type == SOCK_STREAM:
            return self.send(data)
        host, port = self._resolved(address)[:2]
        return self._send_datagram(files.join(host, port).encode() + b"\n", data)

    def _send_datagram(self, header, data):
        view = memoryview(data).cast("B")
        self._again(WRITE, os.writev, self._fd, [header, view])
        return len(view)

    def sendfile(self, file, offset=0, count=None):
        if offset:
            file.seek(offset)
        sent = 0
        while count is None or sent < count:
            data = file.read(8192 if count is None else min(8192, count - sent))
            if not data:
                break
            self.sendall(data)
            sent += len(data)
        return sent

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError("invalid mode %r (only r, w, b allowed)" % (mode,))
        writing = "w" in mode
        reading = "r" in mode or not writing
        raw = stock.SocketIO(self, ("r" if reading else "") + ("w" if writing else ""))
        self._io_refs += 1
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0:
            if "b" not in mode:
                raise ValueError("unbuffered streams must be binary")
            return raw
        if reading and writing:
            buffer = io.BufferedRWPair(raw, raw, buffering)
        else:
            buffer = io.BufferedReader(raw, buffering) if reading else io.BufferedWriter(raw, buffering)
        if "b" in mode:
            return buffer
        text = io.TextIOWrapper(buffer, encoding, errors, newline)
        text.mode = mode
        return text

    # ---- options ----

    def setsockopt(self, level, option, value, optlen=None):
        name = _OPTIONS.get((level, option))
        if name is None:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        if name == "LINGER":
            on, seconds = (int.from_bytes(value[i:i + 4], "little") for i in (0, 4))
            value = seconds if on else -1
        files.write_text("option/%s/%s" % (self._name, name), "%d\n" % value)

    def getsockopt(self, level, option, buflen=0):
        if (level, option) == (SOL_SOCKET, stock.SO_TYPE):
            return int(self.type)
        name = _OPTIONS.get((level, option))
        if name is None:
            raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
        value = int(files.read_text("option/%s/%s" % (self._name, name)))
        if name == "LINGER":
            return int(value >= 0).to_bytes(4, "little") + max(value, 0).to_bytes(4, "little")
        return value


def inherited(fd):
    """A socket that was open from the start, under a number of the interpreter's."""
    return socket(fileno=files.open_file("fd/%d" % fd))


# ---- names ----

def _numeric(host):
    return ":" in host or (host.count(".") == 3 and host.replace(".", "").isdecimal())


_NAME_ERRORS = {errno.ENOENT: "EAI_NONAME", errno.EAGAIN: "EAI_AGAIN"}


def _look_up(name):
    try:
        return files.read_text("dns/" + name).split()
    except OSError as e:
        code = getattr(stock, _NAME_ERRORS.get(e.errno, "EAI_FAIL"))
        raise stock.gaierror(code, "%s: %s" % (name, os.strerror(e.errno))) from None


def _port(service):
    if service is None:
        return 0
    if isinstance(service, bytes):
        service = service.decode()
    if isinstance(service, int) or service.isdecimal():
        return int(service)
    return files.split(_look_up("127.0.0.1:" + service)[0])[1]


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    port = _port(port)
    if isinstance(host, bytes):
        host = host.decode("idna")
    if not host:
        passive = flags & stock.AI_PASSIVE
        if family == AF_INET6:
            hosts = ["::" if passive else "::1"]
        else:
            hosts = ["0.0.0.0" if passive else "127.0.0.1"]
    elif _numeric(host):
        hosts = [host]
    elif flags & stock.AI_NUMERICHOST:
        raise stock.gaierror(stock.EAI_NONAME, "Name or service not known")
    else:
        hosts = _look_up(host if host.isascii() else host.encode("idna").decode())
    found = []
    for text in hosts:
        of = AF_INET6 if ":" in text else AF_INET
        if family not in (AF_UNSPEC, of):
            continue
        address = (text, port, 0, 0) if of == AF_INET6 else (text, port)
        for kind, protocol in ((SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)):
            if type in (0, kind) and proto in (0, protocol):
                found.append((of, kind, protocol, "", address))
    if not found:
        raise stock.gaierror(stock.EAI_NONAME, "Name or service not known")
    return found


def gethostbyname(host):
    return getaddrinfo(host, 0, AF_INET, SOCK_STREAM)[0][4][0]


def gethostbyname_ex(host):
    return host, [], [found[4][0] for found in getaddrinfo(host, 0, AF_INET, SOCK_STREAM)]


def gethostbyaddr(host):
    return host, [], [gethostbyname(host)]


def getnameinfo(address, flags):
    return str(address[0]), str(address[1])


def gethostname():
    return "localhost"


def getfqdn(name=""):
    return name or gethostname()


def getservbyname(service, protocol="tcp"):
    try:
        return _port(service)
    except OSError:
        raise OSError("service/proto not found") from None


def getdefaulttimeout():
    return _default_timeout


def setdefaulttimeout(timeout):
    global _default_timeout
    _default_timeout = None if timeout is None else float(timeout)


def inet_pton(family, text):
    import ipaddress
    try:
        of = ipaddress.IPv6Address if family == AF_INET6 else ipaddress.IPv4Address
        return of(text).packed
    except ValueError:
        raise OSError("illegal IP address string passed to inet_pton") from None


def inet_ntop(family, packed):
    import ipaddress
    of = ipaddress.IPv6Address if family == AF_INET6 else ipaddress.IPv4Address
    return str(of(bytes(packed)))


def inet_ntoa(packed):
    return inet_ntop(AF_INET, packed)


def socketpair(family=AF_INET, type=SOCK_STREAM, proto=0):
    """Two sockets connected to each other, by way of a listener."""
    with socket(AF_INET, type, proto) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = socket(AF_INET, type, proto)
        try:
            one.connect(listener.getsockname())
            return listener.accept()[0], one
        except BaseException:
            one.close()
            raise


def fromfd(fd, family, type, proto=0):
    return socket(fileno=files.open_file("fd/" + files.name_of(fd)))


def install():
    for name, value in CONSTANTS.items():
        setattr(stock, name, value)
    for function in (getaddrinfo, gethostbyname, gethostbyname_ex, gethostbyaddr, getnameinfo, gethostname, getfqdn,
                     getservbyname, getdefaulttimeout, setdefaulttimeout, inet_pton, inet_ntop, inet_ntoa, socketpair,
                     fromfd):
        setattr(stock, function.__name__, function)
    stock.socket = stock.SocketType = socket
    stock.has_ipv6 = True
