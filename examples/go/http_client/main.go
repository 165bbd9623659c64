// http_client [-n COUNT] [-timeout TIME] [-post] URL...: gets every URL, all at once and COUNT times each, and prints what
// came, in the order of the command line. -post posts standard input to it instead.
//
//	aeon run --policy net.yaml go_http_client.wasm http://127.0.0.1:8080/
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	_ "aeon/sdk/go/net/http" // http.DefaultTransport on the host's network
)

type result struct {
	status string
	body   []byte
	err    error
}

func fetch(client *http.Client, url string, post bool, data []byte) (r result) {
	var answer *http.Response
	if post {
		answer, r.err = client.Post(url, "application/octet-stream", bytes.NewReader(data))
	} else {
		answer, r.err = client.Get(url)
	}
	if r.err != nil {
		return r
	}
	defer answer.Body.Close()
	r.status = answer.Status
	r.body, r.err = io.ReadAll(answer.Body)
	return r
}

func main() {
	log.SetFlags(0)
	count := flag.Int("n", 1, "requests for each URL")
	timeout := flag.Duration("timeout", time.Minute, "most time for a request")
	post := flag.Bool("post", false, "post standard input")
	flag.Parse()
	if flag.NArg() == 0 || *count < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var data []byte
	if *post {
		var err error
		if data, err = io.ReadAll(os.Stdin); err != nil {
			log.Fatal(err)
		}
	}
	client := &http.Client{Timeout: *timeout}
	results := make([]result, flag.NArg()**count)
	var all sync.WaitGroup
	for i := range results {
		all.Add(1)
		go func() {
			defer all.Done()
			results[i] = fetch(client, flag.Arg(i / *count), *post, data)
		}()
	}
	all.Wait()
	failed := false
	for i, r := range results {
		if r.err != nil {
			log.Print(r.err)
			failed = true
			continue
		}
		fmt.Printf("%s: %s, %d bytes\n", flag.Arg(i / *count), r.status, len(r.body))
		os.Stdout.Write(r.body)
	}
	if failed {
		os.Exit(1)
	}
}
