package main

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// A probe that gets no answer is given up after this long, and tried again.
const probeTimeout = 2 * time.Second

func (c *cluster) apiserverReady(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	_, err = client.RESTClient().Get().AbsPath("/readyz").Timeout(probeTimeout).DoRaw(ctx)
	return err
}

// workloadsReady holds when a Deployment made now would roll out: the scheduler has nodes without taints to choose from,
// and the controller manager works, which the default service account shows.
func (c *cluster) workloadsReady(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		if !nodeReady(&node) {
			return fmt.Errorf("node %s is not ready", node.Name)
		}
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
	return err
}

func nodeReady(node *core.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition.Status == core.ConditionTrue && len(node.Spec.Taints) == 0
		}
	}
	return false
}

// client is a new administrator's client: it is used a few times only.
func (c *cluster) client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfigPath(c.dir, adminUser))
	if err != nil {
		return nil, err
	}
	// No rate limit of ours: polling must not wait for itself.
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}
