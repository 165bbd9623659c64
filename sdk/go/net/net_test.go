package aeonnet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// All of it talks to itself, on the loopback: natively, and inside aeon with nothing granted.

func listening(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func pair(t *testing.T, l net.Listener) (client, server net.Conn) {
	t.Helper()
	type accepted struct {
		c   net.Conn
		err error
	}
	done := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		done <- accepted{c, err}
	}()
	client, err := Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	t.Cleanup(func() { client.Close(); a.c.Close() })
	return client, a.c
}

func timedOut(t *testing.T, what string, err error) {
	t.Helper()
	var e net.Error
	if !errors.As(err, &e) || !e.Timeout() {
		t.Errorf("%s: %v, not a time-out", what, err)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ network, address, ip string }{
		{"tcp", "127.0.0.1:0", "127.0.0.1"}, {"tcp4", "127.0.0.1:0", "127.0.0.1"}, {"tcp6", "[::1]:0", "::1"},
	} {
		client, server := pair(t, listening(t, c.network, c.address))
		if client.LocalAddr().String() != server.RemoteAddr().String() ||
			client.RemoteAddr().String() != server.LocalAddr().String() {
			t.Errorf("%s: %v -> %v, the other side says %v -> %v", c.network, client.LocalAddr(), client.RemoteAddr(),
				server.RemoteAddr(), server.LocalAddr())
		}
		for _, a := range []net.Addr{client.LocalAddr(), client.RemoteAddr()} {
			if tcp, ok := a.(*net.TCPAddr); !ok || tcp.IP.String() != c.ip || tcp.Port == 0 {
				t.Errorf("%s: %T %v", c.network, a, a)
			}
		}
	}
}

func TestStream(t *testing.T) {
	client, server := pair(t, listening(t, "tcp", "127.0.0.1:0"))
	sent := make([]byte, 3<<20) // more than any buffer takes
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	go func() {
		client.Write(sent)
		client.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(server)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := server.Write([]byte("still open")); err != nil {
		t.Fatal(err)
	}
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "still open" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of what is closed: %v", err)
	}
}

func TestOptions(t *testing.T) {
	client, _ := pair(t, listening(t, "tcp", "127.0.0.1:0"))
	c := client.(interface {
		SetNoDelay(bool) error
		SetKeepAlive(bool) error
		SetKeepAlivePeriod(time.Duration) error
		SetLinger(int) error
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	})
	for i, err := range []error{c.SetNoDelay(false), c.SetKeepAlive(true), c.SetKeepAlivePeriod(time.Minute),
		c.SetLinger(1), c.SetLinger(-1), c.SetReadBuffer(1 << 16), c.SetWriteBuffer(1 << 16)} {
		if err != nil {
			t.Errorf("option %d: %v", i, err)
		}
	}
}

func TestDeadlines(t *testing.T) {
	l := listening(t, "tcp", "127.0.0.1:0")
	client, server := pair(t, l)
	soon := func() time.Time { return time.Now().Add(20 * time.Millisecond) }

	client.SetReadDeadline(soon())
	_, err := client.Read(make([]byte, 1))
	timedOut(t, "read", err)
	client.SetWriteDeadline(soon())
	for err = nil; err == nil; {
		_, err = client.Write(make([]byte, 1<<16))
	}
	timedOut(t, "write", err)
	l.(interface{ SetDeadline(time.Time) error }).SetDeadline(soon())
	_, err = l.Accept()
	timedOut(t, "accept", err)

	client.SetDeadline(time.Time{})
	go func() {
		time.Sleep(10 * time.Millisecond)
		server.Write([]byte("late"))
	}()
	if n, err := client.Read(make([]byte, 9)); n != 4 || err != nil {
		t.Errorf("after the deadline was lifted: %d, %v", n, err)
	}
}

func TestCloseWakes(t *testing.T) {
	l := listening(t, "tcp", "127.0.0.1:0")
	client, _ := pair(t, l)
	p, err := ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for what, wait := range map[string]struct {
		block func() error
		io.Closer
	}{
		"read":    {func() error { _, err := client.Read(make([]byte, 1)); return err }, client},
		"accept":  {func() error { _, err := l.Accept(); return err }, l},
		"receive": {func() error { _, _, err := p.ReadFrom(make([]byte, 1)); return err }, p},
	} {
		done := make(chan error)
		go func() { done <- wait.block() }()
		time.Sleep(5 * time.Millisecond)
		wait.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDialFails(t *testing.T) {
	l := listening(t, "tcp", "127.0.0.1:0")
	gone := l.Addr().String()
	l.Close()
	if _, err := Dial("tcp", gone); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := DialContext(ctx, "tcp", gone); err == nil {
		t.Error("dialled after it was cancelled")
	}
	if _, err := Dial("tcp", "127.0.0.1"); err == nil {
		t.Error("dialled without a port")
	}
	if _, err := Dial("carrier-pigeon", gone); err == nil {
		t.Error("dialled an unknown network")
	}
	_, err := Dial("tcp", "no-such-name.invalid:80")
	var e *net.DNSError
	if !errors.As(err, &e) {
		t.Errorf("no such name: %v", err)
	}
	busy := listening(t, "tcp", "127.0.0.1:0")
	if _, err := Listen("tcp", busy.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("listening twice: %v", err)
	}
	if _, err := ListenFD(1); err == nil {
		t.Error("standard output listens")
	}
	if _, err := os.Stdout.Write(nil); err != nil {
		t.Errorf("it was closed: %v", err)
	}
}

func TestLookup(t *testing.T) {
	found, err := LookupHost("localhost")
	if err != nil || !slices.Contains(found, "127.0.0.1") {
		t.Errorf("localhost: %v, %v", found, err)
	}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		if found, err := LookupHost(ip); err != nil || len(found) != 1 || found[0] != ip {
			t.Errorf("%s: %v, %v", ip, found, err)
		}
	}
	four, err := LookupNetIP(context.Background(), "ip4", "localhost")
	if err != nil || len(four) == 0 || !four[0].Unmap().Is4() {
		t.Errorf("localhost by ip4: %v, %v", four, err)
	}
	client, _ := pair(t, listening(t, "tcp", "localhost:0"))
	client.Close()
}

func TestDatagrams(t *testing.T) {
	for _, c := range [][2]string{{"udp", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		server, err := ListenPacket(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		client, err := Dial(c[0], server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		buffer := make([]byte, 65536)
		for _, size := range []int{5, 0, 9000} {
			sent := bytes.Repeat([]byte{7}, size)
			if n, err := client.Write(sent); n != size || err != nil {
				t.Fatalf("sent %d of %d, %v", n, size, err)
			}
			n, from, err := server.ReadFrom(buffer)
			if err != nil || !bytes.Equal(buffer[:n], sent) || from.String() != client.LocalAddr().String() {
				t.Fatalf("%d bytes from %v, not %d from %v; %v", n, from, size, client.LocalAddr(), err)
			}
			if _, err := server.WriteTo(append(sent, '!'), from); err != nil {
				t.Fatal(err)
			}
			if n, err := client.Read(buffer); n != size+1 || err != nil {
				t.Fatalf("%d bytes back, %v", n, err)
			}
		}
		server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, _, err = server.ReadFrom(buffer)
		timedOut(t, "receive", err)
	}
}

func TestUnix(t *testing.T) {
	path := fmt.Sprintf("/tmp/aeonnet-%d.sock", time.Now().UnixNano())
	l, err := Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(path)
	defer l.Close()
	client, server := pair(t, l)
	if l.Addr().String() != path || client.RemoteAddr().String() != path || l.Addr().Network() != "unix" {
		t.Errorf("%v %v, dialled as %v", l.Addr().Network(), l.Addr(), client.RemoteAddr())
	}
	if _, err := client.Write([]byte("by path")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "by path" {
		t.Errorf("%q, %v", got, err)
	}
}

// What is begun and does not come to an end: a handshake with a server, given by the environment, that says nothing.
func TestSilent(t *testing.T) {
	address := os.Getenv("SILENT")
	if address == "" {
		t.Skip("no SILENT=ADDRESS")
	}
	dial := func(ctx context.Context) error {
		_, err := DialTLSContext(ctx, "tcp", address, "127.0.0.1")
		return err
	}
	bounded, done := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer done()
	timedOut(t, "dial", dial(bounded))
	cancelled, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := dial(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// While some wait, all others go on.
func TestMany(t *testing.T) {
	const many = 60
	l := listening(t, "tcp", "127.0.0.1:0")
	var together, done sync.WaitGroup
	together.Add(many)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	for i := range many {
		done.Add(1)
		go func() {
			defer done.Done()
			c, err := Dial("tcp", l.Addr().String())
			together.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			together.Wait()
			said := fmt.Sprintf("client %d", i)
			c.Write([]byte(said))
			got := make([]byte, len(said))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != said {
				t.Errorf("%q, %v", got, err)
			}
		}()
	}
	done.Wait()
}
