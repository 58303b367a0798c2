// Package ports finds loopback ports and keeps them for this process.
package ports

import (
	"errors"
	"math/rand/v2"
	"syscall"
)

// Ports are chosen below the range that Linux gives to outgoing connections (32768 and up): while the API server is
// down for a test, no client may get its port, nor, retrying, connect to itself on it.
const (
	firstPort    = 12000
	lastPort     = 32000
	portAttempts = 1000
)

// Reserve answers n different loopback ports that are ours until we end. Several control planes start at the same
// time, and a component may listen seconds after its port was chosen, or again after a test has killed it.
func Reserve(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if reserve(port) != nil {
			continue
		}
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("found no free loopback ports")
}

// reserve binds a port and never listens on it. Bound without SO_REUSEADDR, it is nobody else's, not even another
// reservation's; with that option set afterwards, servers, which set it too, listen there all the same.
func reserve(port int) error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = errors.Join(
		syscall.Bind(socket, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}),
		syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
	)
	if err != nil {
		_ = syscall.Close(socket)
	}
	return err
}
