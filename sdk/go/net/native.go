//go:build !wasip1

package aeonnet

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"
)

var dialer net.Dialer

func Dial(network, address string) (net.Conn, error) { return dialer.Dial(network, address) }

func DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout(network, address, timeout)
}

func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return dialer.DialContext(ctx, network, address)
}

func DialTLS(network, address, serverName string) (net.Conn, error) {
	return DialTLSContext(context.Background(), network, address, serverName)
}

func DialTLSContext(ctx context.Context, network, address, serverName string) (net.Conn, error) {
	d := tls.Dialer{Config: &tls.Config{ServerName: serverName}}
	return d.DialContext(ctx, network, address)
}

func Listen(network, address string) (net.Listener, error) { return net.Listen(network, address) }

// ListenTLS is there only where a host does TLS.
func ListenTLS(network, address, serverName string) (net.Listener, error) {
	return nil, &net.OpError{Op: "listen", Net: network, Err: errors.ErrUnsupported}
}

func ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

func ListenFD(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "descriptor "+strconv.Itoa(fd))
	if file == nil {
		return nil, os.ErrInvalid
	}
	l, err := net.FileListener(file) // a copy of the descriptor
	if err == nil {
		file.Close()
	}
	return l, err
}

func LookupHost(host string) ([]string, error) { return net.LookupHost(host) }

func LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}
