package aeonnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// A UDP socket. Package net's cannot tell on wasip1 who sent a datagram; this one waits through an os.File.
type packet struct {
	file          *os.File
	raw           syscall.RawConn
	network       string
	inet6         bool
	local, remote net.Addr // remote: if connected
}

// ListenPacket makes a UDP socket that receives at an address; port 0 takes any.
func ListenPacket(network, address string) (net.PacketConn, error) {
	if len(network) < 3 || network[:3] != "udp" {
		return nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
	}
	list, err := resolve(context.Background(), network, address, wildcard)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	p, err := newPacket(network, list[0], func(fd int) error { return bind(fd, list[0]) })
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: list[0].datagram(), Err: err}
	}
	return p, nil
}

func dialPacket(network string, list []endpoint) (net.Conn, error) {
	var first error
	for _, to := range list {
		p, err := newPacket(network, to, func(fd int) error {
			_, err := connect(fd, to)
			return err
		})
		if err == nil {
			p.remote = to.datagram()
			return p, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Addr: to.datagram(), Err: err}
		}
	}
	return nil, first
}

func newPacket(network string, e endpoint, attach func(fd int) error) (*packet, error) {
	fd, err := open(e.family(), typeDgram)
	if err != nil {
		return nil, err
	}
	p := &packet{file: os.NewFile(uintptr(fd), network), network: network, inet6: e.family() == familyINET6}
	setOption(fd, levelSocket, optBroadcast, 1) // what may be sent to is the policy's matter
	err = attach(fd)
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	var at endpoint
	if err == nil {
		at, err = localAddr(fd)
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	p.local = at.datagram()
	return p, nil
}

func (p *packet) failed(op string, to net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: p.network, Source: p.local, Addr: to, Err: err}
}

// How a wait of the poller's ended: its time-out, or else the socket is closed.
func (p *packet) waited(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return net.ErrClosed
}

func (p *packet) receive(b []byte) (n int, from netip.AddrPort, err error) {
	var sender endpoint
	waited := p.raw.Read(func(fd uintptr) bool {
		for {
			if n, sender, err = recvFrom(int(fd), b); err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	if waited != nil {
		return 0, from, p.failed("read", p.remote, p.waited(waited))
	}
	if err != nil {
		return 0, from, p.failed("read", p.remote, os.NewSyscallError("recvfrom", err))
	}
	return n, netip.AddrPortFrom(sender.ip.Addr().Unmap(), sender.ip.Port()), nil
}

// To where the socket is connected if `to` is not valid.
func (p *packet) send(b []byte, to netip.AddrPort) (n int, err error) {
	var where *endpoint
	shown := p.remote
	if to.IsValid() {
		ip := to.Addr().Unmap().WithZone("")
		if p.inet6 {
			ip = netip.AddrFrom16(ip.As16())
		}
		where = &endpoint{ip: netip.AddrPortFrom(ip, to.Port())}
		shown = net.UDPAddrFromAddrPort(to)
		if p.remote != nil {
			return 0, p.failed("write", shown, net.ErrWriteToConnected)
		}
	} else if p.remote == nil {
		return 0, p.failed("write", nil, syscall.EDESTADDRREQ)
	}
	waited := p.raw.Write(func(fd uintptr) bool {
		for {
			if n, err = sendTo(int(fd), b, where); err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	if waited != nil {
		return 0, p.failed("write", shown, p.waited(waited))
	}
	if err != nil {
		return 0, p.failed("write", shown, os.NewSyscallError("sendto", err))
	}
	return n, nil
}

func (p *packet) Read(b []byte) (int, error) {
	n, _, err := p.receive(b)
	return n, err
}

func (p *packet) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.receive(b)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

func (p *packet) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) { return p.receive(b) }

func (p *packet) Write(b []byte) (int, error) { return p.send(b, netip.AddrPort{}) }

func (p *packet) WriteTo(b []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok || a == nil || !a.AddrPort().IsValid() {
		return 0, p.failed("write", to, syscall.EINVAL)
	}
	return p.send(b, a.AddrPort())
}

func (p *packet) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if !to.IsValid() {
		return 0, p.failed("write", nil, syscall.EINVAL)
	}
	return p.send(b, to)
}

func (p *packet) LocalAddr() net.Addr  { return p.local }
func (p *packet) RemoteAddr() net.Addr { return p.remote }

func (p *packet) SyscallConn() (syscall.RawConn, error) { return p.raw, nil }

func (p *packet) deadline(err error) error {
	if err == nil {
		return nil
	}
	return p.failed("set", nil, net.ErrClosed)
}

func (p *packet) SetDeadline(t time.Time) error      { return p.deadline(p.file.SetDeadline(t)) }
func (p *packet) SetReadDeadline(t time.Time) error  { return p.deadline(p.file.SetReadDeadline(t)) }
func (p *packet) SetWriteDeadline(t time.Time) error { return p.deadline(p.file.SetWriteDeadline(t)) }

func (p *packet) option(name int32, n int) error {
	return p.failed("set", nil, control(p, func(fd int) error { return setOption(fd, levelSocket, name, int32(n)) }))
}

func (p *packet) SetReadBuffer(n int) error  { return p.option(optRecvBuf, n) }
func (p *packet) SetWriteBuffer(n int) error { return p.option(optSendBuf, n) }

func (p *packet) Close() error {
	if p.file.Close() != nil {
		return p.failed("close", nil, net.ErrClosed)
	}
	return nil
}
