package main

import (
	"bufio"
	"io"
	"strings"
)

// readOrders passes on the lines of the parent, and tells its end.
func readOrders(from io.Reader, orders chan<- string, stop chan<- string) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if order := strings.TrimSpace(lines.Text()); order != "" {
			orders <- order
		}
	}
	stop <- "end of standard input"
}

// obey carries out one order of the parent and answers it. Faults are the purpose: components are killed, not asked.
func (c *cluster) obey(order string, stop chan string) error {
	switch order {
	case "stop-apiserver":
		c.component(apiserverName).kill()
		return say(map[string]string{"stopped": apiserverName})
	case "start-apiserver":
		if err := c.reviveAPIServer(stop); err != nil {
			return err
		}
		return say(map[string]string{"started": apiserverName})
	case "restart-apiserver":
		c.component(apiserverName).kill()
		if err := c.reviveAPIServer(stop); err != nil {
			return err
		}
		return say(map[string]string{"restarted": apiserverName})
	case "restart-etcd":
		c.component("etcd").kill()
		if err := c.reviveEtcd(stop); err != nil {
			return err
		}
		return say(map[string]string{"restarted": "etcd"})
	default:
		return say(map[string]string{"error": "unknown order: " + order})
	}
}
