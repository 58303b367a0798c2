package helm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// helmVersion is the version of the library, which knows only a part of it.
const helmVersion = "v4.3.1"

// defaults is what Helm knows without a cluster.
func defaults() *common.Capabilities {
	known := common.DefaultCapabilities.Copy()
	known.HelmVersion.Version = helmVersion
	return known
}

// cluster answers what templates ask of the destination cluster. What the job gives stands for it, else the controller is
// asked, and only for what is looked at: a render depends on all that it has asked for.
type cluster struct {
	files *tree.Client
	job   *protocol.Helm
}

func (c *cluster) kubeVersion() (*common.KubeVersion, error) {
	text := c.job.KubeVersion
	if text == "" {
		asked, err := c.files.KubeVersion()
		if err != nil {
			return nil, err
		}
		text = asked
	}
	version, err := common.ParseKubeVersion(text)
	if err != nil {
		return nil, fmt.Errorf("the Kubernetes version %q cannot be read: %w", text, err)
	}
	return version, nil
}

// has tells whether the cluster serves something. As with `helm template --api-versions`, what Helm knows by itself counts
// as served by every cluster.
func (c *cluster) has(name string) (bool, error) {
	switch {
	case common.DefaultVersionSet.Has(name):
		return true, nil
	case len(c.job.APIVersions) > 0:
		return slices.Contains(c.job.APIVersions, name), nil
	default:
		return c.files.HasAPIVersion(name)
	}
}

// all is everything about the cluster.
func (c *cluster) all() (*common.Capabilities, error) {
	version, err := c.kubeVersion()
	if err != nil {
		return nil, err
	}
	served := c.job.APIVersions
	if len(served) == 0 {
		if served, err = c.files.APIVersions(); err != nil {
			return nil, err
		}
	}
	capabilities := defaults()
	capabilities.KubeVersion = *version
	capabilities.APIVersions = slices.Concat(common.DefaultVersionSet, served)
	return capabilities, nil
}

// checkVersion holds the cluster's version against what the chart says it needs.
func (c *cluster) checkVersion(loaded *chart.Chart) error {
	wanted := loaded.Metadata.KubeVersion
	if wanted == "" {
		return nil
	}
	version, err := c.kubeVersion()
	if err != nil {
		return err
	}
	if !chartutil.IsCompatibleRange(wanted, version.String()) {
		return fmt.Errorf("the chart %q requires Kubernetes %s, and the cluster runs %s: use another version of the chart, or set helm.kubeVersion",
			loaded.Name(), wanted, version.Version)
	}
	return nil
}

// capabilities is what templates find as .Capabilities: what asks by and by, if they use it in ways that this can serve, else
// all of Helm's own.
func (c *cluster) capabilities(loaded *chart.Chart) (any, error) {
	if c.isPlain(loaded) {
		return gradual(func() *cluster { return c }), nil
	}
	return c.all()
}

var (
	// mention finds what may be the capabilities: a field of that name, or a key in quotes.
	mention = regexp.MustCompile("[.\"'`]Capabilities\\b")
	// plainUse is what follows where they are used in one of the usual ways.
	plainUse = regexp.MustCompile(`^\.(KubeVersion\.(Version|GitVersion|Major|Minor|String)|APIVersions\.Has|HelmVersion\.\w+)\b`)
)

// isPlain tells whether all that could be a template, with the values and the files that `tpl` may be given, uses the
// capabilities in the usual ways only, or not at all.
func (c *cluster) isPlain(loaded *chart.Chart) bool {
	for _, document := range slices.Concat(c.job.Values, c.job.SetFile) {
		if !isPlainText([]byte(document.Text)) {
			return false
		}
	}
	for _, parameter := range c.job.Set {
		if !isPlainText([]byte(parameter.Value)) {
			return false
		}
	}
	return areFilesPlain(loaded)
}

func areFilesPlain(loaded *chart.Chart) bool {
	for _, file := range loaded.Raw {
		if !isPlainText(file.Data) {
			return false
		}
	}
	return !slices.ContainsFunc(loaded.Dependencies(), func(subchart *chart.Chart) bool { return !areFilesPlain(subchart) })
}

func isPlainText(text []byte) bool {
	for _, found := range mention.FindAllIndex(text, -1) {
		if !plainUse.Match(text[found[1]:]) {
			return false
		}
	}
	return true
}

// gradual is .Capabilities as templates use it, one question at a time. It is a function because charts copy their context
// deeply: a copy of it is itself.
type gradual func() *cluster

// KubeVersion is .Capabilities.KubeVersion.
func (g gradual) KubeVersion() (*common.KubeVersion, error) { return g().kubeVersion() }

// APIVersions is .Capabilities.APIVersions.
func (g gradual) APIVersions() gradualVersions { return gradualVersions(g) }

// HelmVersion is .Capabilities.HelmVersion.
func (g gradual) HelmVersion() any { return defaults().HelmVersion }

// MarshalJSON is for charts that print their whole context.
func (g gradual) MarshalJSON() ([]byte, error) {
	all, err := g().all()
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// gradualVersions is what the cluster serves.
type gradualVersions func() *cluster

// Has is .Capabilities.APIVersions.Has.
func (v gradualVersions) Has(name string) (bool, error) { return v().has(name) }
