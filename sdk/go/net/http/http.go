// Package aeonhttp makes net/http use the network of package aeonnet. To import it is enough for http.Get and all else
// that goes through http.DefaultTransport:
//
//	import _ "aeon/sdk/go/net/http"
//
// To https addresses the host speaks TLS: no authorities, no entropy and no cipher need be in the program, and the
// journal has plain text.
package aeonhttp

import (
	"context"
	"net"
	"net/http"

	aeonnet "aeon/sdk/go/net"
)

func init() {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		Install(t)
	}
}

// Install lets a transport dial through aeonnet. To leave TLS to the program (its own authorities or certificates,
// HTTP/2), set t.DialTLSContext to nil afterwards.
func Install(t *http.Transport) {
	t.DialContext = aeonnet.DialContext
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return aeonnet.DialTLSContext(ctx, network, address, host)
	}
}

// ListenAndServe is http.ListenAndServe, which on wasip1 would serve nobody outside of the program.
func ListenAndServe(address string, handler http.Handler) error {
	if address == "" {
		address = ":http"
	}
	l, err := aeonnet.Listen("tcp", address)
	if err != nil {
		return err
	}
	return http.Serve(l, handler)
}
