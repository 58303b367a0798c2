package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"

	node "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	pod "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

// One line per request: the stage at which a request arrives says nothing that its answer does not.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// cluster is one control plane: its directory, its ports and its running components.
type cluster struct {
	dir   string
	users []user
	nodes int
	// Whether pod metrics are served.
	metrics bool
	ports   endpoints
	// Components that ended, whether killed by us or not.
	died chan *process

	mu      sync.Mutex
	running map[string]*process
	// The order of the starts, which is undone backwards.
	order []string
}

// newCluster chooses ports and writes every file that a component reads.
func newCluster(o options) (*cluster, error) {
	chosen, err := chooseEndpoints()
	if err != nil {
		return nil, err
	}
	c := &cluster{
		dir: o.dir, users: o.users, nodes: o.nodes, metrics: o.metrics, ports: chosen,
		died: make(chan *process, 16), running: map[string]*process{},
	}
	if err := os.MkdirAll(c.path("logs"), 0o700); err != nil {
		return nil, err
	}
	ca, err := writeCertificates(c.dir)
	if err != nil {
		return nil, err
	}
	everybody := append(ownUsers(), o.users...)
	for _, u := range everybody {
		if err := writeKubeconfig(c.dir, c.server(), ca, u); err != nil {
			return nil, err
		}
	}
	if err := writeTokens(c.path("tokens.csv"), everybody); err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	return c, os.WriteFile(c.path("stages.yaml"), []byte(stages()), 0o600)
}

// stages are what kwok plays: nodes turn Ready and stay so, pods turn Ready, complete and go at once.
func stages() string {
	return strings.Join([]string{
		node.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
		pod.DefaultPodReady, pod.DefaultPodComplete, pod.DefaultPodDelete,
	}, "\n---\n")
}

func (c *cluster) server() string   { return loopback("https", c.ports.apiserver) }
func (c *cluster) auditLog() string { return c.path("audit.log") }

// summary is what `up` tells its caller.
func (c *cluster) summary() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	users, pids := map[string]string{}, map[string]int{}
	for _, u := range c.users {
		users[u.name] = kubeconfigPath(c.dir, u.name)
	}
	for name, p := range c.running {
		pids[name] = p.pid()
	}
	return map[string]any{
		"kubeconfig": kubeconfigPath(c.dir, adminUser),
		"server":     c.server(), "audit": c.auditLog(), "users": users, "pids": pids,
	}
}

// launch starts one component and keeps it under its name.
func (c *cluster) launch(name string, args []string) error {
	p, err := spawn(name, args, c.path("logs/"+name+".log"), c.died)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[name] == nil {
		c.order = append(c.order, name)
	}
	c.running[name] = p
	return nil
}

func (c *cluster) component(name string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[name]
}

// stopAll ends what runs, the last started first, and waits for each.
func (c *cluster) stopAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.order) - 1; i >= 0; i-- {
		c.running[c.order[i]].kill()
	}
}
