"""A stand-in for `ssl`: the host speaks TLS on a socket and verifies the other side; the program reads and writes plain
text. What a context says about versions, ciphers and certificates is for the host to decide, and ignored."""

import os
import socket as _socket

from aeon_net import files
from aeon_net.waiting import WRITE, wait_for

CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED = 0, 1, 2
PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER = 2, 16, 17
HAS_SNI = HAS_ALPN = HAS_TLSv1_2 = HAS_TLSv1_3 = True
OP_ALL = OP_NO_SSLv2 = OP_NO_SSLv3 = OP_NO_TLSv1 = OP_NO_TLSv1_1 = OP_NO_COMPRESSION = 0
OPENSSL_VERSION = "the host's"
OPENSSL_VERSION_INFO = (3, 0, 0, 0, 0)


class SSLError(OSError):
    """TLS failed."""


class SSLCertVerificationError(SSLError, ValueError):
    pass


class SSLZeroReturnError(SSLError):
    pass


class SSLWantReadError(SSLError):
    pass


class SSLWantWriteError(SSLError):
    pass


class SSLSyscallError(SSLError):
    pass


class SSLEOFError(SSLError):
    pass


CertificateError = SSLCertVerificationError


class Purpose:
    SERVER_AUTH, CLIENT_AUTH = "server", "client"


class TLSVersion:
    MINIMUM_SUPPORTED, TLSv1_2, TLSv1_3, MAXIMUM_SUPPORTED = -2, 771, 772, -1


def start(sock, server_hostname, server_side=False):
    """TLS on `sock` from now on: as client of that host, or on what a listener for it accepts."""
    if server_side:
        return  # the listener has it
    if not server_hostname:
        raise ValueError("the name of the server is needed")
    files.do("tls/start/%s/%s" % (sock._name, server_hostname))


class SSLSocket(_socket.socket):
    """A socket whose other side speaks TLS."""

    def getpeercert(self, binary_form=False):
        return b"" if binary_form else {}

    def version(self):
        return None

    def cipher(self):
        return None

    def selected_alpn_protocol(self):
        return None

    def do_handshake(self):
        timeout = self.gettimeout()
        if timeout == 0:
            return
        if not wait_for(self._name, WRITE, timeout):
            raise TimeoutError("timed out")
        error = self.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if error:
            raise SSLError(error, "TLS failed: " + os.strerror(error))

    def unwrap(self):
        self.shutdown(_socket.SHUT_WR)
        return self


class SSLContext:
    def __init__(self, protocol=PROTOCOL_TLS):
        self.protocol = protocol
        self.verify_mode = CERT_NONE if protocol == PROTOCOL_TLS_SERVER else CERT_REQUIRED
        self.check_hostname = self.verify_mode == CERT_REQUIRED
        self.post_handshake_auth = None
        self.options = 0
        self.minimum_version, self.maximum_version = TLSVersion.TLSv1_2, TLSVersion.MAXIMUM_SUPPORTED
        self.keylog_filename = None

    def _nothing(self, *_, **__):
        pass

    load_verify_locations = load_default_certs = set_default_verify_paths = set_ciphers = _nothing
    set_alpn_protocols = load_cert_chain = _nothing

    def wrap_socket(self, sock, server_side=False, do_handshake_on_connect=True, suppress_ragged_eofs=True,
                    server_hostname=None, session=None):
        start(sock, server_hostname, server_side)
        timeout = sock.gettimeout()
        wrapped = SSLSocket._of(sock.detach(), sock.family, sock.type)
        wrapped._timeout = timeout
        if do_handshake_on_connect and not server_side:
            try:
                wrapped.do_handshake()
            except BaseException:
                wrapped.close()
                raise
        return wrapped


def create_default_context(purpose=Purpose.SERVER_AUTH, *, cafile=None, capath=None, cadata=None):
    return SSLContext(PROTOCOL_TLS_CLIENT if purpose == Purpose.SERVER_AUTH else PROTOCOL_TLS_SERVER)


_create_default_https_context = create_default_context


def _create_unverified_context(*_, **__):
    raise SSLError("certificates are always verified here")


_create_stdlib_context = create_default_context
