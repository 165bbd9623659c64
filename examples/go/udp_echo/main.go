// udp_echo [ADDRESS [COUNT]]: sends datagrams back to whom they came from, on ADDRESS (0.0.0.0:7), and ends after COUNT of
// them.
//
//	aeon run --publish 127.0.0.1:7007:7/udp go_udp_echo.wasm
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"

	aeonnet "aeon/sdk/go/net"
)

func main() {
	address, count := "0.0.0.0:7", -1
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if len(os.Args) > 2 {
		var err error
		if count, err = strconv.Atoi(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	}
	socket, err := aeonnet.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer socket.Close()
	fmt.Println("echoing on", socket.LocalAddr())
	buffer := make([]byte, 65536)
	for ; count != 0; count-- {
		n, from, err := socket.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(n, "bytes from", from)
		if _, err := socket.WriteTo(buffer[:n], from); err != nil {
			log.Print(err)
		}
	}
}
