package aeonnet

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const keepAlive = 15 * time.Second // as package net has it

// The library's own connection, which reads, writes and waits, with what it cannot know on wasip1.
type stream struct {
	*net.TCPConn
	network       string
	local, remote net.Addr
	closed        atomic.Bool
}

// inner comes from net.FileConn or from accept.
func newStream(inner net.Conn, network string) (*stream, error) {
	s := &stream{TCPConn: inner.(*net.TCPConn), network: network}
	var from, to endpoint
	err := s.control(func(fd int) (err error) {
		from, err = localAddr(fd)
		to, _ = peerAddr(fd) // may be gone already; reading will say so
		return err
	})
	if err != nil {
		inner.Close()
		return nil, err
	}
	s.local, s.remote = from.stream(), to.stream()
	if network != "unix" {
		s.SetNoDelay(true)
		s.SetKeepAlivePeriod(keepAlive)
	}
	return s, nil
}

func (s *stream) LocalAddr() net.Addr  { return s.local }
func (s *stream) RemoteAddr() net.Addr { return s.remote }

// The error with the addresses it is about.
func (s *stream) about(err error) error {
	if e, ok := err.(*net.OpError); ok {
		e.Net, e.Source, e.Addr = s.network, s.local, s.remote
		e.Err = unlessClosed(e.Err, &s.closed)
	}
	return err
}

// What waits for a socket that is closed is told of a closed file, by an error that only the library can name.
func unlessClosed(err error, closed *atomic.Bool) error {
	var errno syscall.Errno
	if !closed.Load() || errors.As(err, &errno) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return net.ErrClosed
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.TCPConn.Read(p)
	return n, s.about(err)
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.TCPConn.Write(p)
	return n, s.about(err)
}

func (s *stream) Close() error {
	s.closed.Store(true)
	return s.about(s.TCPConn.Close())
}

func (s *stream) CloseRead() error  { return s.about(s.TCPConn.CloseRead()) }
func (s *stream) CloseWrite() error { return s.about(s.TCPConn.CloseWrite()) }

func (s *stream) control(f func(fd int) error) error {
	return control(s.TCPConn, f)
}

func (s *stream) set(level, name int32, values ...int32) error {
	err := s.control(func(fd int) error { return setOption(fd, level, name, values...) })
	if err != nil {
		return &net.OpError{Op: "set", Net: s.network, Source: s.local, Addr: s.remote, Err: err}
	}
	return nil
}

func number(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func (s *stream) SetNoDelay(on bool) error   { return s.set(levelTCP, tcpNoDelay, number(on)) }
func (s *stream) SetKeepAlive(on bool) error { return s.set(levelSocket, optKeepAlive, number(on)) }
func (s *stream) SetReadBuffer(n int) error  { return s.set(levelSocket, optRecvBuf, int32(n)) }
func (s *stream) SetWriteBuffer(n int) error { return s.set(levelSocket, optSendBuf, int32(n)) }
func (s *stream) SetLinger(seconds int) error {
	return s.set(levelSocket, optLinger, number(seconds >= 0), int32(max(seconds, 0)))
}

// SetKeepAlivePeriod also turns keep-alive on.
func (s *stream) SetKeepAlivePeriod(d time.Duration) error {
	seconds := int32(max(1, (d+time.Second-1)/time.Second))
	for _, err := range []error{s.set(levelTCP, tcpKeepIdle, seconds), s.set(levelTCP, tcpKeepIntvl, seconds)} {
		if err != nil {
			return err
		}
	}
	return s.SetKeepAlive(true)
}

// Runs f on a socket that is not closed meanwhile.
func control(of syscall.Conn, f func(fd int) error) error {
	raw, err := of.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}

// ---- listening ----

type listener struct {
	*net.TCPListener
	network string
	at      net.Addr
	closed  atomic.Bool
}

// Listen makes a listener for streams. A bind address means what it says; port 0 takes any.
func Listen(network, address string) (net.Listener, error) {
	return listen(network, address, nil)
}

// ListenTLS is Listen for TLS connections of a server called serverName, whose certificate and key the host has (by the
// policy's tls: servers:). The host does TLS; connections carry plain text.
func ListenTLS(network, address, serverName string) (net.Listener, error) {
	return listen(network, address, func(fd int) error { return startTLS(fd, serverName) })
}

func listen(network, address string, prepare func(fd int) error) (net.Listener, error) {
	if network != "unix" && (len(network) < 3 || network[:3] != "tcp") {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	list, err := resolve(context.Background(), network, address, wildcard)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	l, err := listenAt(network, list[0], prepare)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: list[0].stream(), Err: err}
	}
	return l, nil
}

func listenAt(network string, at endpoint, prepare func(fd int) error) (net.Listener, error) {
	fd, err := open(at.family(), typeStream)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), network)
	defer file.Close() // the listener holds the socket by itself
	if network != "unix" {
		if err := setOption(fd, levelSocket, optReuseAddr, 1); err != nil {
			return nil, err
		}
	}
	if prepare != nil {
		if err := prepare(fd); err != nil {
			return nil, err
		}
	}
	if err := bind(fd, at); err != nil {
		return nil, err
	}
	const backlog = 4096
	if err := failed("listen", sockListen(int32(fd), backlog)); err != nil {
		return nil, err
	}
	return newListener(file, network)
}

func newListener(file *os.File, network string) (net.Listener, error) {
	inner, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	l := &listener{TCPListener: inner.(*net.TCPListener), network: network}
	at, err := localAddr(int(file.Fd()))
	if err != nil {
		inner.Close()
		return nil, err
	}
	if at.path != "" {
		l.network = "unix"
	}
	l.at = at.stream()
	return l, nil
}

// ListenFD is the listener that the program was given as a descriptor: from 3 on, by `aeon run --listen`. It fails, and
// leaves the descriptor alone, if that is none.
func ListenFD(fd int) (net.Listener, error) {
	accepts, err := getOption(fd, levelSocket, optAccepts)
	if err == nil && accepts == 0 {
		err = os.NewSyscallError("listen", syscall.EINVAL)
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	file := os.NewFile(uintptr(fd), "tcp")
	defer file.Close()
	return newListener(file, "tcp")
}

func (l *listener) Addr() net.Addr { return l.at }

func (l *listener) about(err error) error {
	if e, ok := err.(*net.OpError); ok {
		e.Net, e.Addr, e.Source = l.network, l.at, nil
		e.Err = unlessClosed(e.Err, &l.closed)
	}
	return err
}

func (l *listener) Close() error {
	l.closed.Store(true)
	return l.about(l.TCPListener.Close())
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.TCPListener.AcceptTCP()
	if err != nil {
		return nil, l.about(err)
	}
	s, err := newStream(inner, l.network)
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: l.network, Addr: l.at, Err: err}
	}
	return s, nil
}
