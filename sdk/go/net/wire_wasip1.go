package aeonnet

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// The extension's numbers.
const (
	familyAny   = 0
	familyINET  = 1
	familyINET6 = 2
	familyUnix  = 3

	typeDgram  = 1
	typeStream = 2

	levelSocket  = 0
	levelTCP     = 6
	levelTLS     = 0x74696d65
	optReuseAddr = 0
	optError     = 2
	optBroadcast = 4
	optSendBuf   = 5
	optRecvBuf   = 6
	optKeepAlive = 7
	optLinger    = 9
	optAccepts   = 13
	tcpNoDelay   = 1
	tcpKeepIdle  = 4
	tcpKeepIntvl = 5
	tlsHost      = 1
)

// None of these is marked noescape, so whatever they are given lies in the heap, where it does not move.

//go:wasmimport wasi_snapshot_preview1 sock_open
func sockOpen(family, kind int32, fd unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_bind
func sockBind(fd int32, addr unsafe.Pointer, port uint32) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_connect
func sockConnect(fd int32, addr unsafe.Pointer, port uint32) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_listen
func sockListen(fd, backlog int32) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_recv_from
func sockRecvFrom(fd int32, iovs unsafe.Pointer, n uint32, addr unsafe.Pointer, flags uint32,
	port, done, outFlags unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_send_to
func sockSendTo(fd int32, iovs unsafe.Pointer, n uint32, addr unsafe.Pointer, port, flags uint32,
	done unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_getsockopt
func sockGetsockopt(fd, level, name int32, value, size unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_setsockopt
func sockSetsockopt(fd, level, name int32, value unsafe.Pointer, size uint32) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_getlocaladdr
func sockGetlocaladdr(fd int32, addr, port unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_getpeeraddr
func sockGetpeeraddr(fd int32, addr, port unsafe.Pointer) syscall.Errno

//go:wasmimport wasi_snapshot_preview1 sock_getaddrinfo
func sockGetaddrinfo(name unsafe.Pointer, nameSize uint32, service unsafe.Pointer, serviceSize uint32,
	hints, result unsafe.Pointer, most uint32, n unsafe.Pointer) syscall.Errno

// A pointer as the host sees it. It holds nothing alive.
type pointer uint32

func pointerTo(p unsafe.Pointer) pointer { return pointer(uintptr(p)) }

type extent struct {
	data pointer
	size uint32
}

// What one call takes and brings, in one piece of the heap. The address is in a buffer of 128 bytes, a family in front;
// its extent is always that buffer's.
type call struct {
	addr  [128]byte
	ref   extent
	iov   extent
	port  uint32
	done  uint32
	flags uint32
	data  []byte // what iov shows: stored here, it lies in the heap and stays
}

func newCall() *call {
	c := new(call)
	c.ref = extent{pointerTo(unsafe.Pointer(&c.addr)), uint32(len(c.addr))}
	return c
}

func (c *call) setData(p []byte) {
	c.data = p
	c.iov = extent{pointerTo(unsafe.Pointer(unsafe.SliceData(p))), uint32(len(p))}
}

// An address of this side or another: IP and port, or a path.
type endpoint struct {
	ip   netip.AddrPort
	path string
}

func (e endpoint) family() int32 {
	switch {
	case e.path != "":
		return familyUnix
	case e.ip.Addr().Is4():
		return familyINET
	default:
		return familyINET6
	}
}

func (c *call) setAddr(e endpoint) error {
	clear(c.addr[:])
	binary.LittleEndian.PutUint16(c.addr[:], uint16(e.family()))
	c.port = uint32(e.ip.Port())
	switch e.family() {
	case familyUnix:
		if len(e.path) >= len(c.addr)-2 {
			return syscall.ENAMETOOLONG
		}
		copy(c.addr[2:], e.path)
	case familyINET:
		ip := e.ip.Addr().As4()
		copy(c.addr[2:], ip[:])
	default:
		ip := e.ip.Addr().As16()
		copy(c.addr[2:], ip[:])
	}
	return nil
}

func (c *call) endpoint() (e endpoint) {
	bytes := c.addr[2:]
	switch binary.LittleEndian.Uint16(c.addr[:]) {
	case familyINET:
		e.ip = netip.AddrPortFrom(netip.AddrFrom4([4]byte(bytes)), uint16(c.port))
	case familyINET6:
		e.ip = netip.AddrPortFrom(netip.AddrFrom16([16]byte(bytes)), uint16(c.port))
	case familyUnix:
		n := 0
		for n < len(bytes) && bytes[n] != 0 {
			n++
		}
		e.path = string(bytes[:n])
	}
	return e
}

// ---- the calls; errors say which one ----

func failed(name string, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return os.NewSyscallError(name, errno)
}

// A socket that does not block. Its owner closes it.
func open(family, kind int32) (int, error) {
	fd := new(int32)
	if err := failed("socket", sockOpen(family, kind, unsafe.Pointer(fd))); err != nil {
		return -1, err
	}
	if err := syscall.SetNonblock(int(*fd), true); err != nil {
		syscall.Close(int(*fd))
		return -1, os.NewSyscallError("fd_fdstat_set_flags", err)
	}
	return int(*fd), nil
}

func bind(fd int, at endpoint) error {
	c := newCall()
	if err := c.setAddr(at); err != nil {
		return err
	}
	err := failed("bind", sockBind(int32(fd), unsafe.Pointer(&c.ref), c.port))
	runtime.KeepAlive(c)
	return err
}

// False while it goes on.
func connect(fd int, to endpoint) (bool, error) {
	c := newCall()
	if err := c.setAddr(to); err != nil {
		return true, err
	}
	errno := sockConnect(int32(fd), unsafe.Pointer(&c.ref), c.port)
	runtime.KeepAlive(c)
	switch errno {
	case syscall.EINPROGRESS, syscall.EALREADY:
		return false, nil
	case syscall.EISCONN:
		return true, nil
	}
	return true, failed("connect", errno)
}

func localAddr(fd int) (endpoint, error) {
	c := newCall()
	err := failed("getsockname", sockGetlocaladdr(int32(fd), unsafe.Pointer(&c.ref), unsafe.Pointer(&c.port)))
	return c.endpoint(), err
}

func peerAddr(fd int) (endpoint, error) {
	c := newCall()
	err := failed("getpeername", sockGetpeeraddr(int32(fd), unsafe.Pointer(&c.ref), unsafe.Pointer(&c.port)))
	return c.endpoint(), err
}

// One datagram; the error is a bare errno.
func recvFrom(fd int, p []byte) (int, endpoint, error) {
	c := newCall()
	c.setData(p)
	errno := sockRecvFrom(int32(fd), unsafe.Pointer(&c.iov), 1, unsafe.Pointer(&c.ref), 0, unsafe.Pointer(&c.port),
		unsafe.Pointer(&c.done), unsafe.Pointer(&c.flags))
	if errno != 0 {
		return 0, endpoint{}, errno
	}
	return int(c.done), c.endpoint(), nil
}

// One datagram, to where the socket is connected if `to` is nil; the error is a bare errno.
func sendTo(fd int, p []byte, to *endpoint) (int, error) {
	c := newCall()
	c.setData(p)
	if to == nil {
		c.ref = extent{}
	} else if err := c.setAddr(*to); err != nil {
		return 0, err
	}
	errno := sockSendTo(int32(fd), unsafe.Pointer(&c.iov), 1, unsafe.Pointer(&c.ref), c.port, 0,
		unsafe.Pointer(&c.done))
	if errno != 0 {
		return 0, errno
	}
	return int(c.done), nil
}

func getOption(fd int, level, name int32) (int, error) {
	value := &[2]int32{0, 4}
	err := failed("getsockopt",
		sockGetsockopt(int32(fd), level, name, unsafe.Pointer(&value[0]), unsafe.Pointer(&value[1])))
	return int(value[0]), err
}

func setOption(fd int, level, name int32, values ...int32) error {
	return failed("setsockopt",
		sockSetsockopt(int32(fd), level, name, unsafe.Pointer(unsafe.SliceData(values)), uint32(4*len(values))))
}

// Whatever goes over the socket from now on is under TLS, which the host does.
func startTLS(fd int, serverName string) error {
	if serverName == "" {
		return errors.New("TLS needs the server's name")
	}
	name := []byte(serverName)
	return failed("setsockopt", sockSetsockopt(int32(fd), levelTLS, tlsHost,
		unsafe.Pointer(unsafe.SliceData(name)), uint32(len(name))))
}
