package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodesCreated makes the simulated nodes that are still missing.
func (c *cluster) nodesCreated(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	for i := range c.nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, simulatedNode(i), meta.CreateOptions{})
		if err != nil && !errors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// simulatedNode has room for more pods than any test makes.
func simulatedNode(i int) *core.Node {
	name := fmt.Sprintf("node-%d", i)
	room := core.ResourceList{
		core.ResourceCPU:    resource.MustParse("1000"),
		core.ResourceMemory: resource.MustParse("1000Gi"),
		core.ResourcePods:   resource.MustParse("100000"),
	}
	return &core.Node{
		ObjectMeta: meta.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "type": "kwok"},
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
		},
		Status: core.NodeStatus{Allocatable: room, Capacity: room},
	}
}
