package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

const (
	metricsPath    = "/apis/metrics.k8s.io/v1beta1"
	metricsService = "metrics"
	// A sample covers next to no time: an autoscaler does not count one that reaches back before the pod was ready.
	metricsWindow = time.Millisecond
)

// serveMetrics plays the metrics server, without which every autoscaler is failing: each container uses half of what it
// requests. It is an API of its own behind the API server, as the real one is.
func (c *cluster) serveMetrics(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+metricsPath, func(w http.ResponseWriter, _ *http.Request) { answer(w, metricsResources()) })
	routes.HandleFunc("GET "+metricsPath+"/namespaces/{namespace}/pods", func(w http.ResponseWriter, r *http.Request) {
		list, err := podMetrics(r.Context(), client, r.PathValue("namespace"), r.URL.Query().Get("labelSelector"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, list)
	})
	// It ends with this process.
	go func() {
		_ = http.ServeTLS(listener, routes, c.path(servingCertFile), c.path(servingKeyFile))
	}()
	return registerMetrics(ctx, client, listener.Addr().(*net.TCPAddr).Port)
}

// registerMetrics tells the API server where the metrics are: at a service that is an alias of this machine.
func registerMetrics(ctx context.Context, client *kubernetes.Clientset, port int) error {
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: metricsService},
		Spec: core.ServiceSpec{
			Type:         core.ServiceTypeExternalName,
			ExternalName: "localhost",
			Ports:        []core.ServicePort{{Port: int32(port), TargetPort: intstr.FromInt(port)}},
		},
	}
	_, err := client.CoreV1().Services(meta.NamespaceSystem).Create(ctx, service, meta.CreateOptions{})
	if err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1",
		"kind":       "APIService",
		"metadata":   map[string]any{"name": "v1beta1.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
			"service":               map[string]any{"namespace": meta.NamespaceSystem, "name": metricsService, "port": port},
			"insecureSkipTLSVerify": true,
		},
	})
	if err != nil {
		return err
	}
	path := "/apis/apiregistration.k8s.io/v1/apiservices"
	err = client.RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// metricsServed holds when the API server passes questions on.
func (c *cluster) metricsServed(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	_, err = client.RESTClient().Get().AbsPath(metricsPath + "/namespaces/default/pods").Timeout(probeTimeout).DoRaw(ctx)
	return err
}

func metricsResources() meta.APIResourceList {
	return meta.APIResourceList{
		TypeMeta:     meta.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: metrics.SchemeGroupVersion.String(),
		APIResources: []meta.APIResource{{
			Name: "pods", Namespaced: true, Kind: "PodMetrics", Verbs: meta.Verbs{"get", "list"},
		}},
	}
}

func podMetrics(
	ctx context.Context, client *kubernetes.Clientset, namespace, selector string,
) (*metrics.PodMetricsList, error) {
	pods, err := client.CoreV1().Pods(namespace).List(ctx, meta.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	list := &metrics.PodMetricsList{
		TypeMeta: meta.TypeMeta{Kind: "PodMetricsList", APIVersion: metrics.SchemeGroupVersion.String()},
		Items:    []metrics.PodMetrics{},
	}
	for _, pod := range pods.Items {
		sample := metrics.PodMetrics{
			ObjectMeta: meta.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels},
			Timestamp:  meta.Now(),
			Window:     meta.Duration{Duration: metricsWindow},
		}
		for _, container := range pod.Spec.Containers {
			sample.Containers = append(sample.Containers, metrics.ContainerMetrics{
				Name: container.Name, Usage: half(container.Resources.Requests),
			})
		}
		list.Items = append(list.Items, sample)
	}
	return list, nil
}

func half(requests core.ResourceList) core.ResourceList {
	usage := core.ResourceList{}
	for name, quantity := range requests {
		usage[name] = *resource.NewMilliQuantity(quantity.MilliValue()/2, quantity.Format)
	}
	return usage
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		progress("metrics: %v", fmt.Errorf("cannot answer: %w", err))
	}
}
