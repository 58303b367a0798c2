package ports

import (
	"fmt"
	"net"
	"testing"
)

func TestAReservedPortIsOursAndCanBeListenedOnAgainAndAgain(t *testing.T) {
	ports, err := Reserve(6)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		if reserve(port) == nil {
			t.Errorf("port %d was reserved twice", port)
		}
		for range 2 {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			if reserve(port) == nil {
				t.Errorf("port %d was reserved while somebody listens", port)
			}
			listener.Close()
		}
	}
}
