package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Deadlines are generous, since the machine may be compiling; a wait normally ends within a second or two.
const (
	startDeadline = 90 * time.Second
	pollInterval  = 25 * time.Millisecond
)

// start runs the components, in the order in which they need each other, and waits until workloads can roll out.
func (c *cluster) start(stop chan string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	begun := time.Now()
	// The API server waits for etcd by itself, and half of its own start is over by then.
	err := errors.Join(c.launch("etcd", c.etcdArguments()), c.launch(apiserverName, c.apiserverArguments()))
	if err != nil {
		return err
	}
	if err := c.wait(ctx, stop, "kube-apiserver", c.apiserverReady); err != nil {
		return err
	}
	progress("kube-apiserver is ready after %v", time.Since(begun).Round(time.Millisecond))
	if err := c.launchRest(); err != nil {
		return err
	}
	if err := c.wait(ctx, stop, "nodes", c.nodesCreated); err != nil {
		return err
	}
	if err := c.wait(ctx, stop, "nodes and the default service account", c.workloadsReady); err != nil {
		return err
	}
	if c.metrics {
		if err := c.serveMetrics(ctx); err != nil {
			return err
		}
		if err := c.wait(ctx, stop, "metrics", c.metricsServed); err != nil {
			return err
		}
	}
	progress("ready after %v", time.Since(begun).Round(time.Millisecond))
	return nil
}

func (c *cluster) launchRest() error {
	return errors.Join(
		c.launch("kube-controller-manager", c.controllerManagerArguments()),
		c.launch("kube-scheduler", c.schedulerArguments()),
		c.launch("kwok", c.kwokArguments()),
	)
}

// reviveAPIServer starts the API server again, on the same port, and waits until it is ready.
func (c *cluster) reviveAPIServer(stop chan string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	if err := c.launch(apiserverName, c.apiserverArguments()); err != nil {
		return err
	}
	return c.wait(ctx, stop, apiserverName, c.apiserverReady)
}

// reviveEtcd starts etcd again, on what it has on disk, and waits until the API server can work with it.
func (c *cluster) reviveEtcd(stop chan string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	if err := c.launch("etcd", c.etcdArguments()); err != nil {
		return err
	}
	return c.wait(ctx, stop, "kube-apiserver with etcd", c.apiserverReady)
}

// wait polls a condition until it holds. It ends early when a component dies or somebody wants us to stop.
func (c *cluster) wait(ctx context.Context, stop chan string, what string, ready func(context.Context) error) error {
	ticks := time.NewTicker(pollInterval)
	defer ticks.Stop()
	for {
		last := ready(ctx)
		if last == nil {
			return nil
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s: %w", what, last)
		case why := <-stop:
			progress("stopping: %s", why)
			return errStopped
		case p := <-c.died:
			if p.killed.Load() {
				continue
			}
			return fmt.Errorf("%s ended while starting, its log ends with\n%s", p.name, p.logTail())
		}
	}
}
