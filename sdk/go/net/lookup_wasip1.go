package aeonnet

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"unsafe"
)

const mostFound = 16

// The list of which the extension fills as much as it needs.
type info struct {
	flags        uint16
	family, kind uint8
	protocol     uint32
	addrSize     uint32
	addr         pointer // an infoAddr
	name         pointer
	nameSize     uint32
	next         pointer
}

type infoAddr struct {
	family uint32
	bytes  room
}

// Room for an address; here the size is in front.
type room struct {
	size uint32
	data pointer
}

type infoRoom struct {
	hints  info
	infos  [mostFound]info
	addrs  [mostFound]infoAddr
	bytes  [mostFound][26]byte // the port, then the address
	result pointer
	n      uint32
}

func newInfoRoom(family uint8) *infoRoom {
	r := new(infoRoom)
	r.hints = info{family: family, kind: typeStream}
	for i := range r.infos {
		r.addrs[i].bytes = room{uint32(len(r.bytes[i])), pointerTo(unsafe.Pointer(&r.bytes[i]))}
		r.infos[i].addr = pointerTo(unsafe.Pointer(&r.addrs[i]))
		if i+1 < len(r.infos) {
			r.infos[i].next = pointerTo(unsafe.Pointer(&r.infos[i+1]))
		}
	}
	r.result = pointerTo(unsafe.Pointer(&r.infos[0]))
	return r
}

// The extension's codes for failed look-ups, besides errnos.
const (
	eaiAddrFamily = 77
	eaiAgain      = 78
	eaiFail       = 80
	eaiNoData     = 83
	eaiNoName     = 84
)

func lookupError(host string, errno syscall.Errno) error {
	e := &net.DNSError{Name: host}
	switch errno {
	case eaiNoName, eaiNoData, eaiAddrFamily:
		e.Err, e.IsNotFound = "no such host", true
	case eaiAgain:
		e.Err, e.IsTemporary = "no answer from the name service", true
	case eaiFail:
		e.Err = "the name service failed"
	default:
		e.Err, e.UnwrapErr = errno.Error(), errno
	}
	return e
}

// family is what the ending of a network's name asks for.
func familyOf(network string) uint8 {
	switch network[len(network)-1] {
	case '4':
		return familyINET
	case '6':
		return familyINET6
	}
	return familyAny
}

func fits(family uint8, ip netip.Addr) bool {
	return family == familyAny || ip.Is4() == (family == familyINET)
}

func lookup(family uint8, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap().WithZone("")
		if !fits(family, ip) {
			return nil, &net.AddrError{Err: "no address of the family asked for", Addr: host}
		}
		return []netip.Addr{ip}, nil
	}
	if host == "" {
		return nil, lookupError(host, eaiNoName)
	}
	list, name, none := newInfoRoom(family), []byte(host), new(byte)
	errno := sockGetaddrinfo(unsafe.Pointer(unsafe.SliceData(name)), uint32(len(name)), unsafe.Pointer(none), 0,
		unsafe.Pointer(&list.hints), unsafe.Pointer(&list.result), mostFound, unsafe.Pointer(&list.n))
	runtime.KeepAlive(list)
	if errno != 0 {
		return nil, lookupError(host, errno)
	}
	var found []netip.Addr
	for i := range list.infos[:min(list.n, mostFound)] {
		switch bytes := list.bytes[i][2:]; list.infos[i].family {
		case familyINET:
			found = append(found, netip.AddrFrom4([4]byte(bytes)))
		case familyINET6:
			found = append(found, netip.AddrFrom16([16]byte(bytes)))
		}
	}
	if len(found) == 0 {
		return nil, lookupError(host, eaiNoData)
	}
	return found, nil
}

// LookupHost returns the addresses of a name, in the host's order of preference. No other goroutine runs meanwhile.
func LookupHost(host string) ([]string, error) {
	found, err := lookup(familyAny, host)
	var text []string
	for _, ip := range found {
		text = append(text, ip.String())
	}
	return text, err
}

// LookupNetIP is LookupHost for one family or both, by network: ip, ip4, ip6.
func LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	switch network {
	case "ip", "ip4", "ip6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return lookup(familyOf(network), host)
}

// Where an address of a network leads, most preferred first; without a host, to `alone` of the family asked for.
func resolve(ctx context.Context, network, address string, alone func(family uint8) netip.Addr) ([]endpoint, error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	case "unix":
		if address == "" {
			return nil, &net.AddrError{Err: "empty path"}
		}
		return []endpoint{{path: address}}, nil
	default:
		return nil, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	family := familyOf(network)
	found := []netip.Addr{alone(family)}
	if host != "" {
		if found, err = lookup(family, host); err != nil {
			return nil, err
		}
	}
	var list []endpoint
	for _, ip := range found {
		list = append(list, endpoint{ip: netip.AddrPortFrom(ip, uint16(port))})
	}
	return list, nil
}

func wildcard(family uint8) netip.Addr {
	if family == familyINET6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

func loopback(family uint8) netip.Addr {
	if family == familyINET6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func (e endpoint) stream() net.Addr {
	if e.path != "" || !e.ip.IsValid() {
		return &net.UnixAddr{Net: "unix", Name: e.path}
	}
	return net.TCPAddrFromAddrPort(e.ip)
}

func (e endpoint) datagram() net.Addr { return net.UDPAddrFromAddrPort(e.ip) }
