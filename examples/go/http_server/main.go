// http_server [ADDRESS]: net/http on the listener that the program was given as descriptor 3, or else on ADDRESS
// (0.0.0.0:8080).
//
//	/        greets the client, by its address
//	/sum     says how many bytes the body had, and their SHA-256
//	/echo    sends the body back, as it comes
//
//	aeon run --listen 127.0.0.1:8080 go_http_server.wasm
//	aeon run --publish 127.0.0.1:8080:8080 go_http_server.wasm
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	aeonnet "aeon/sdk/go/net"
)

func listen() (net.Listener, error) {
	if len(os.Args) > 1 {
		return aeonnet.Listen("tcp", os.Args[1])
	}
	if l, err := aeonnet.ListenFD(3); err == nil {
		return l, nil
	}
	return aeonnet.Listen("tcp", "0.0.0.0:8080")
}

func greet(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintf(w, "Hello, %s!\n", r.RemoteAddr)
}

func sum(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, err := io.Copy(h, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %x\n", n, h.Sum(nil))
	fmt.Println(r.Method, r.URL.Path, n)
}

func echo(w http.ResponseWriter, r *http.Request) {
	answer := http.NewResponseController(w)
	if err := answer.EnableFullDuplex(); err != nil {
		log.Print(err)
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			answer.Flush()
		}
		if err != nil {
			return
		}
	}
}

func main() {
	l, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("serving on", l.Addr())
	http.HandleFunc("/", greet)
	http.HandleFunc("/sum", sum)
	http.HandleFunc("/echo", echo)
	log.Fatal(http.Serve(l, nil))
}
