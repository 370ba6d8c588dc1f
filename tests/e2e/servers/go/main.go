// SPDX-License-Identifier: Apache-2.0

// A net/http server that writes one line "method status path" per answered request to its log.
//
// Query parameters, in the order in which they take effect:
//
//	sleep=5ms          waits before the answer
//	status=503         the status code (default 200)
//	size=2048          bytes of the body (default 1024), with Content-Length
//	chunks=3&pause=5ms sends the body in that many chunks of `size` bytes, without Content-Length, pausing in between
//	abort=1            sends half of a body with Content-Length and resets the connection (logged as "aborted")
//
// Paths: /missing 404, /empty 204, /large 100 KiB, /post reads the request's body; every other path as the query says.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

type addresses []string

func (a *addresses) String() string { return fmt.Sprint(*a) }

func (a *addresses) Set(value string) error {
	*a = append(*a, value)
	return nil
}

// statusRecorder remembers the final status code; 1xx are not final.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	if status >= 200 && r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func integer(query url.Values, key string, fallback int) int {
	value, err := strconv.Atoi(query.Get(key))
	if err != nil {
		return fallback
	}
	return value
}

func duration(query url.Values, key string) time.Duration {
	value, _ := time.ParseDuration(query.Get(key))
	return value
}

func bodyOf(size int) []byte {
	return bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
}

func answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	status, size := integer(query, "status", http.StatusOK), integer(query, "size", 1024)
	switch r.URL.Path {
	case "/missing":
		status = http.StatusNotFound
	case "/empty":
		status = http.StatusNoContent
	case "/large":
		size = 100 * 1024
	case "/post":
		io.Copy(io.Discard, r.Body)
	}
	time.Sleep(duration(query, "sleep"))
	if query.Get("abort") != "" {
		abort(w, status, size)
	}
	if chunks := integer(query, "chunks", 0); chunks > 0 {
		w.WriteHeader(status)
		for i := 0; i < chunks; i++ {
			if i > 0 {
				time.Sleep(duration(query, "pause"))
			}
			w.Write(bodyOf(size))
			w.(*statusRecorder).ResponseWriter.(http.Flusher).Flush()
		}
		return
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.WriteHeader(status)
	w.Write(bodyOf(size))
}

// abort promises a whole body, sends half of it, and resets the connection.
func abort(w http.ResponseWriter, status, size int) {
	connection, buffer, err := w.(*statusRecorder).ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(buffer, "HTTP/1.1 %d Aborted\r\nContent-Length: %d\r\n\r\n", status, size)
	buffer.Write(bodyOf(size / 2))
	buffer.Flush()
	time.Sleep(50 * time.Millisecond)
	connection.(*net.TCPConn).SetLinger(0)
	connection.Close()
	panic(http.ErrAbortHandler)
}

func logged(logFile *os.File, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		recorder := &statusRecorder{ResponseWriter: w}
		whole := false
		defer func() {
			status := "aborted"
			if whole {
				status = strconv.Itoa(recorder.status)
			}
			fmt.Fprintf(logFile, "%s %s %s\n", r.Method, status, r.URL.Path)
		}()
		next(recorder, r)
		whole = true
	}
}

func main() {
	var listens addresses
	logPath := flag.String("log", "", "file for one line per request")
	flag.Var(&listens, "listen", "address:port, may be repeated")
	flag.Parse()
	logFile, err := os.OpenFile(*logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: logged(logFile, answer)}
	for _, address := range listens {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			log.Fatal(err)
		}
		go func() { log.Fatal(server.Serve(listener)) }()
	}
	select {}
}
