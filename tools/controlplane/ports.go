package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are chosen below the range that Linux gives to outgoing connections (32768 and up): while the API server is
// down for a test, no client may get its port, nor, retrying, connect to itself on it.
const (
	firstPort    = 12000
	lastPort     = 32000
	portAttempts = 1000
)

// freePorts answers n different loopback ports on which nobody listens now.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		// Held until all are chosen, so that no port is chosen twice.
		defer listener.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("found no free loopback ports")
}
