// SPDX-License-Identifier: Apache-2.0

// A net/http client: a bounded number of requests over a bounded number of connections, with keep-alive or without.
// Prints one line "status count" per status code; "error" counts requests without an answer.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	url := flag.String("url", "", "what to ask for")
	method := flag.String("method", "GET", "request method")
	requests := flag.Int("n", 1, "number of requests")
	clients := flag.Int("c", 1, "number of connections")
	keepAlive := flag.Bool("keep-alive", true, "use a connection for many requests")
	bodyBytes := flag.Int("body", 0, "bytes of each request's body")
	flag.Parse()

	transport := &http.Transport{DisableKeepAlives: !*keepAlive, MaxIdleConnsPerHost: *clients, MaxConnsPerHost: *clients,
		DisableCompression: true}
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	body := bytes.Repeat([]byte("x"), *bodyBytes)
	tickets := make(chan struct{}, *requests)
	for i := 0; i < *requests; i++ {
		tickets <- struct{}{}
	}
	close(tickets)

	counts, mutex := map[string]int{}, sync.Mutex{}
	var group sync.WaitGroup
	for i := 0; i < *clients; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for range tickets {
				status := ask(client, *method, *url, body)
				mutex.Lock()
				counts[status]++
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	transport.CloseIdleConnections()
	for status, count := range counts {
		fmt.Println(status, count)
	}
}

func ask(client *http.Client, method, url string, body []byte) string {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	response, err := client.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return "error"
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "error"
	}
	return fmt.Sprint(response.StatusCode)
}
