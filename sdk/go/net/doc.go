// Package aeonnet is the network for Go programs compiled for GOOS=wasip1, whose own package net can only accept: dial,
// listen, datagrams and name look-up over the socket extension that aeon, WasmEdge and others offer (its second
// generation). On other systems every function is package net's, so one source builds both ways.
//
// Nothing here blocks the program except looking a name up: all descriptors are non-blocking and wait in Go's own
// poller, so other goroutines run on, and deadlines and contexts work.
//
// Networks are tcp, tcp4, tcp6, udp, udp4, udp6 and unix (streams). An address without a host means 0.0.0.0 to listen
// on ("::" with a network that ends in 6), and this host to dial.
//
// What Dial and Listen return has the usual methods beyond net.Conn: CloseRead, CloseWrite, SetNoDelay, SetKeepAlive,
// SetKeepAlivePeriod, SetLinger, SetReadBuffer, SetWriteBuffer, SyscallConn; listeners SetDeadline; UDP sockets
// ReadFromUDPAddrPort and WriteToUDPAddrPort. They are not of net's types, for those cannot tell their addresses on
// wasip1: ask for methods by interface, not for *net.TCPConn.
//
// Errors are *net.OpError and *net.DNSError, with what errors.Is expects in them.
package aeonnet
