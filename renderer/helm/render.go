// Package helm renders charts by Helm's own library, to what `helm template --include-crds` prints.
//
// Files, the cluster's version and what it serves are asked for, never looked up. Nothing here reaches a network, a disk or
// the environment: schemas and dependencies that are remote end the render with what is to be fetched. What would make
// another render of the same differ is named. Render is the entry point.
package helm

import (
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/util/validation"

	"trueup.dev/renderer/limits"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

const (
	// defaultNamespace is where Helm renders for when nothing names a namespace.
	defaultNamespace = "default"
	// notesSuffix ends the name of what is rendered for people. It may fail the render; what it says is dropped.
	notesSuffix = "NOTES.txt"
)

// Render renders a chart. The error is a *protocol.NeedsError if something is to be fetched first.
func Render(files *tree.Client, job *protocol.Helm) (*protocol.Done, error) {
	notices := collectNotices()
	done, err := (&render{files: files, job: job, loader: newLoader()}).run()
	logged := notices()
	// Whoever answers has the last word: libraries swallow errors, or wrap them beyond recognition.
	if failure := files.Failure(); failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, err
	}
	done.Warnings = unique(append(done.Warnings, logged...))
	return done, nil
}

// render is one render of a chart.
type render struct {
	files    *tree.Client
	job      *protocol.Helm
	loader   *loader
	warnings []string
}

func (r *render) run() (*protocol.Done, error) {
	if err := r.checkNames(); err != nil {
		return nil, err
	}
	values, err := mergeValues(r.job)
	if err != nil {
		return nil, err
	}
	loaded, err := r.load(r.job.Chart)
	if err != nil {
		return nil, err
	}
	if err := checkInstallable(loaded); err != nil {
		return nil, err
	}
	if loaded.Metadata.Deprecated {
		r.warn("the chart %q is deprecated", loaded.Name())
	}
	if err := r.complete(loaded, values); err != nil {
		return nil, err
	}
	cluster := &cluster{files: r.files, job: r.job}
	if err := cluster.checkVersion(loaded); err != nil {
		return nil, err
	}
	return r.renderChart(loaded, values, cluster)
}

func (r *render) renderChart(loaded *chart.Chart, values map[string]any, cluster *cluster) (*protocol.Done, error) {
	name := loaded.Name()
	capabilities, err := cluster.capabilities(loaded)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return nil, fmt.Errorf("the dependencies of the chart %q: %w", name, err)
	}
	options := common.ReleaseOptions{Name: r.job.ReleaseName, Namespace: r.namespace(), Revision: 1, IsInstall: true}
	// Helm's own check of schemas fetches what they refer to, from the network and from the disk.
	context, err := commonutil.ToRenderValuesWithSchemaValidation(loaded, values, options, nil, true)
	if err != nil {
		return nil, fmt.Errorf("the values of the chart %q: %w", name, err)
	}
	if !r.job.SkipSchemaValidation {
		if err := r.checkSchemas(loaded, context["Values"]); err != nil {
			return nil, err
		}
	}
	context["Capabilities"] = capabilities
	calls := &calls{}
	calls.mark(loaded)
	templates := engine.Engine{CustomTemplateFuncs: calls.functions()}
	rendered, err := templates.Render(loaded, context)
	if err != nil {
		return nil, explain(name, err)
	}
	documents, err := r.documents(loaded, rendered)
	if err != nil {
		return nil, err
	}
	return &protocol.Done{Documents: documents, Warnings: append(r.warnings, r.loader.warnings...), Unstable: calls.unstable()}, nil
}

// documents are what `helm template` prints, in its order: definitions, manifests by kind, hooks.
func (r *render) documents(loaded *chart.Chart, rendered map[string]string) ([]protocol.Document, error) {
	size := 0
	for name, text := range rendered {
		if size += len(text); size > limits.MaxOutput {
			return nil, fmt.Errorf("the chart %q renders to more than %d MiB (%q among it alone to %d bytes): it is too much for one application; look for a loop in it, or split it",
				loaded.Name(), limits.MaxOutput>>20, name, len(text))
		}
		if strings.HasSuffix(name, notesSuffix) {
			delete(rendered, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(rendered, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, fmt.Errorf("the chart %q renders to what is no YAML: %w; what it renders to is shown by `helm template --debug`", loaded.Name(), err)
	}
	documents := []protocol.Document{}
	if r.job.IncludeCRDs {
		for _, definition := range loaded.CRDObjects() {
			documents = append(documents, protocol.Document{File: definition.Filename, Text: string(definition.File.Data)})
		}
	}
	for _, manifest := range manifests {
		documents = append(documents, protocol.Document{File: manifest.Name, Text: manifest.Content})
	}
	for _, hook := range hooks {
		if r.job.SkipTests && slices.Contains(hook.Events, release.HookTest) {
			continue
		}
		documents = append(documents, protocol.Document{File: hook.Path, Text: hook.Manifest})
	}
	return documents, nil
}

func (r *render) checkNames() error {
	if err := chartutil.ValidateReleaseName(r.job.ReleaseName); err != nil {
		return fmt.Errorf("the release name %q cannot be used: %w; set helm.releaseName", r.job.ReleaseName, err)
	}
	if reasons := validation.IsDNS1123Label(r.namespace()); len(reasons) > 0 {
		return fmt.Errorf("the namespace %q cannot be used: %s", r.namespace(), strings.Join(reasons, "; "))
	}
	return nil
}

func (r *render) namespace() string {
	if r.job.Namespace == "" {
		return defaultNamespace
	}
	return r.job.Namespace
}

func (r *render) warn(format string, arguments ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, arguments...))
}

// checkInstallable refuses what Helm does not install.
func checkInstallable(loaded *chart.Chart) error {
	switch loaded.Metadata.Type {
	case "", "application":
		return nil
	default:
		return fmt.Errorf("the chart %q is a %s chart, which renders to nothing by itself: name a chart that uses it", loaded.Name(), loaded.Metadata.Type)
	}
}

// explain says what to do about the errors that say it least.
func explain(name string, err error) error {
	text := withoutMark(err.Error())
	hint := ""
	switch {
	case strings.Contains(text, "nil pointer evaluating"):
		hint = "; a value that the template reads is missing: set it in the values"
	case strings.Contains(text, "no template"), strings.Contains(text, "not defined"):
		hint = "; is a library chart missing in charts/ and in the dependencies of Chart.yaml?"
	}
	return fmt.Errorf("the chart %q: %s%s", name, text, hint)
}

// unique drops repetitions and keeps the order.
func unique(texts []string) []string {
	found := []string{}
	for _, text := range texts {
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	return found
}
