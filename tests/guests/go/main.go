// go.wasm DIR [CODE]: Go's runtime and library over WASI: goroutines, channels, timers, files, entropy, exit status.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"time"
)

func goroutines() {
	var wg sync.WaitGroup
	jobs := make(chan int)
	results := make(chan int, 100)
	for w := 0; w < 8; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range jobs {
				results <- n * n
				runtime.Gosched()
			}
		}()
	}
	for i := 1; i <= 100; i++ {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	close(results)
	sum := 0
	for r := range results {
		sum += r
	}
	fmt.Println("goroutines", sum)
}

func timers() {
	start := time.Now()
	fired := make(chan int, 3)
	for _, ms := range []int{9, 3, 6} {
		time.AfterFunc(time.Duration(ms)*time.Millisecond, func() { fired <- ms })
	}
	order := []int{<-fired, <-fired, <-fired}
	sort.Ints(order) // on a busy machine all may be due at once, and then any goroutine may be first
	fmt.Println("timers", order[0], order[1], order[2])
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	select {
	case <-ctx.Done():
		fmt.Println("context", ctx.Err())
	case <-time.After(time.Hour):
		fmt.Println("context never ended")
	}
	if elapsed := time.Since(start); elapsed < 14*time.Millisecond {
		fmt.Println("FAIL: too fast", elapsed)
		os.Exit(1)
	}
	fmt.Println("at", start.UnixNano())
}

func entropy() {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	fmt.Println("entropy", hex.EncodeToString(b))
	fmt.Println("sha256", hex.EncodeToString(sha256.New().Sum(nil))[:16])
}

func files(dir string) error {
	path := filepath.Join(dir, "go.json")
	data, err := json.Marshal(map[string]any{"name": "aeon", "list": []int{1, 2, 3}, "nested": map[string]bool{"x": true}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	back, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(back, data) {
		return fmt.Errorf("read %d bytes back: %w", len(back), err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(dir, "a", "b", "moved.json")); err != nil {
		return err
	}
	var names []string
	err = filepath.WalkDir(filepath.Join(dir, "a"), func(p string, d fs.DirEntry, err error) error {
		names = append(names, d.Name())
		return err
	})
	sort.Strings(names)
	fmt.Println("files", string(back), names, err)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there: %v", path, err)
	}
	return os.RemoveAll(filepath.Join(dir, "a"))
}

func main() {
	fmt.Println("arguments", len(os.Args), "greeting", os.Getenv("GREETING"))
	goroutines()
	timers()
	entropy()
	if len(os.Args) > 1 {
		if err := files(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL:", err)
			os.Exit(1)
		}
	}
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintln(out, "done")
	out.Flush()
	if len(os.Args) > 2 {
		if os.Args[2] == "panic" {
			panic("as asked")
		}
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		os.Exit(code)
	}
}
