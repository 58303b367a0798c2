package main

import (
	"fmt"
	"path/filepath"

	"trueup.dev/tools/controlplane/ports"
)

const apiserverName = "kube-apiserver"

// endpoints are the ports of one control plane.
type endpoints struct {
	etcdClient, etcdPeer, apiserver, controllerManager, scheduler, kwok int
}

func chooseEndpoints() (endpoints, error) {
	p, err := ports.Reserve(6)
	if err != nil {
		return endpoints{}, err
	}
	return endpoints{p[0], p[1], p[2], p[3], p[4], p[5]}, nil
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func loopback(scheme string, port int) string { return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port) }

func (c *cluster) etcdArguments() []string {
	client, peer := loopback("http", c.ports.etcdClient), loopback("http", c.ports.etcdPeer)
	return []string{
		"--data-dir=" + c.path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		// Nobody needs the data after a power cut, and a disk that many tests share is slow to sync.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

func (c *cluster) apiserverArguments() []string {
	return []string{
		"--etcd-servers=" + loopback("http", c.ports.etcdClient),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.ports.apiserver),
		// A loopback address cannot be an endpoint of the service `kubernetes`.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.path(servingCertFile), "--tls-private-key-file=" + c.path(servingKeyFile),
		"--cert-dir=" + c.path("apiserver"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.path(serviceAccountFile),
		"--service-account-signing-key-file=" + c.path(serviceAccountFile),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		// The kubelets are simulated: no token is ever mounted into a pod.
		"--disable-admission-plugins=ServiceAccount",
		"--audit-policy-file=" + c.path("audit-policy.yaml"), "--audit-log-path=" + c.auditLog(),
		// Megabytes. The log is never rotated: tests read it from a mark on.
		"--audit-log-maxsize=100000",
		"--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000",
		"--profiling=false", "--event-ttl=1h",
	}
}

// Neither elects a leader, there being one; both may ask as fast as they can, since rollouts are not what is measured.
func (c *cluster) controllerManagerArguments() []string {
	return []string{
		"--kubeconfig=" + kubeconfigPath(c.dir, controllerUser),
		"--root-ca-file=" + c.path(caFile),
		"--service-account-private-key-file=" + c.path(serviceAccountFile),
		"--use-service-account-credentials=false",
		"--leader-elect=false",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.ports.controllerManager),
		"--cert-dir=" + c.path("controller-manager"),
		"--authentication-skip-lookup=true",
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// An autoscaler says nothing until its first round; nobody wants to wait 15 seconds for that.
		"--horizontal-pod-autoscaler-sync-period=2s",
		// A machine that is busy compiling must not lose its simulated nodes.
		"--node-monitor-grace-period=10m",
		"--profiling=false",
	}
}

func (c *cluster) schedulerArguments() []string {
	return []string{
		"--kubeconfig=" + kubeconfigPath(c.dir, schedulerUser),
		"--leader-elect=false",
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.ports.scheduler),
		"--cert-dir=" + c.path("scheduler"),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--profiling=false",
	}
}

func (c *cluster) kwokArguments() []string {
	return []string{
		"--kubeconfig=" + kubeconfigPath(c.dir, kwokUser),
		"--config=" + c.path("stages.yaml"),
		"--manage-all-nodes=true",
		"--cidr=10.128.0.1/9",
		fmt.Sprintf("--server-address=127.0.0.1:%d", c.ports.kwok),
		fmt.Sprintf("--node-port=%d", c.ports.kwok),
		// Seconds: two renewals per node and minute are little noise in the audit log.
		"--node-lease-duration-seconds=120",
	}
}
