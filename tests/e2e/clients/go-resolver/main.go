// SPDX-License-Identifier: Apache-2.0

// Looks names up with Go's own resolver: e2e-go-resolver SERVER NAME…
package main

import (
	"context"
	"fmt"
	"net"
	"os"
)

func main() {
	server := os.Args[1]
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, server)
		},
	}
	for _, name := range os.Args[2:] {
		addresses, err := resolver.LookupIPAddr(context.Background(), name)
		fmt.Println(name, addresses, err)
	}
}
