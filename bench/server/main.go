// SPDX-License-Identifier: Apache-2.0

// The server of the reference benchmark: answers 1 KiB after 5 ms.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	body := bytes.Repeat([]byte("x"), 1024)
	answer := func(writer http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		writer.Write(body)
	}
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(answer)))
}
