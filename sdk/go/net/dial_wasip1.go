package aeonnet

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Dial connects to an address.
func Dial(network, address string) (net.Conn, error) {
	return DialContext(context.Background(), network, address)
}

// DialTimeout is Dial with a bound on the time it takes.
func DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return DialContext(ctx, network, address)
}

// DialContext is Dial until ctx is done. Of a name with several addresses each is tried, with its share of the time.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return dial(ctx, network, address, nil)
}

// DialTLS is Dial to a TLS server. The host does TLS and verifies the certificate, for serverName; the connection
// carries plain text, and so does the journal.
func DialTLS(network, address, serverName string) (net.Conn, error) {
	return DialTLSContext(context.Background(), network, address, serverName)
}

// DialTLSContext is DialTLS until ctx is done; the handshake is over when it returns.
func DialTLSContext(ctx context.Context, network, address, serverName string) (net.Conn, error) {
	return dial(ctx, network, address, func(fd int) error { return startTLS(fd, serverName) })
}

// prepare, if there is one, sees the socket before it is connected.
func dial(ctx context.Context, network, address string, prepare func(fd int) error) (net.Conn, error) {
	list, err := resolve(ctx, network, address, loopback)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if network[:3] == "udp" {
		if prepare != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("TLS is for streams")}
		}
		return dialPacket(network, list)
	}
	var first error
	for i, to := range list {
		c, err := dialStream(share(ctx, len(list)-i), network, to, prepare)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Addr: to.stream(), Err: err}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// A bound on an attempt, beside ctx.
type attempt struct {
	context.Context
	end time.Time // zero: none
}

// The first of `left` attempts gets its part of the time that ctx leaves.
func share(ctx context.Context, left int) attempt {
	end, bounded := ctx.Deadline()
	if !bounded {
		return attempt{Context: ctx}
	}
	return attempt{ctx, time.Now().Add(time.Until(end) / time.Duration(left))}
}

func dialStream(a attempt, network string, to endpoint, prepare func(fd int) error) (net.Conn, error) {
	if err := a.Err(); err != nil {
		return nil, err
	}
	fd, err := open(to.family(), typeStream)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), network)
	defer file.Close() // the connection holds the socket by itself
	if prepare != nil {
		if err := prepare(fd); err != nil {
			return nil, err
		}
	}
	if err := establish(a, file, to); err != nil {
		return nil, err
	}
	inner, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return newStream(inner, network)
}

// Connects, while other goroutines run.
func establish(a attempt, file *os.File, to endpoint) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if err := file.SetWriteDeadline(a.end); err != nil {
		return err
	}
	stop := context.AfterFunc(a.Context, func() { file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var result error
	begun := false
	err = raw.Write(func(fd uintptr) (done bool) {
		if !begun {
			begun = true
			done, result = connect(int(fd), to)
			return done
		}
		done, result = settled(int(fd))
		return done
	})
	switch {
	case err == nil:
		return result
	case a.Err() != nil:
		return a.Err()
	default:
		return err
	}
}

// How a connection ended that was begun; writable is not yet connected.
func settled(fd int) (bool, error) {
	value, err := getOption(fd, levelSocket, optError)
	if err != nil {
		return true, err
	}
	if value != 0 {
		return true, failed("connect", syscall.Errno(value))
	}
	if _, err := peerAddr(fd); errors.Is(err, syscall.ENOTCONN) {
		return false, nil
	}
	return true, nil
}
