package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"
	"sigs.k8s.io/yaml"

	"trueup.dev/renderer/helm"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// anyDevelopmentVersion is the range that `devel` stands for.
const anyDevelopmentVersion = ">0.0.0-0"

// charts inflates the charts of one build, by the Helm library in this process.
type charts struct {
	client      *tree.Client
	mounts      *mounts
	remotes     *remotes
	fetched     []protocol.Fetched
	releaseName string
	kubeVersion string
	apiVersions []string

	warnings, unstable []string
}

// find tells where a chart of the kustomization in `directory` stands: in the repository, or where it was fetched to. Found
// is false if it is to be fetched first.
func (c *charts) find(directory string, globals types.HelmGlobals, chart types.HelmChart) (place protocol.Place, found bool, err error) {
	local := path.Join(chartHome(directory, globals, chart), chart.Name)
	place, inside := c.mounts.place(local)
	if inside {
		kind, err := c.client.Stat(place.Root, place.Path)
		if err != nil || kind == protocol.Directory {
			return place, err == nil, err
		}
	}
	if chart.Repo == "" {
		return place, false, fmt.Errorf("the chart %s is not in '%s', and no repo is given to fetch it from", chart.Name, local)
	}
	version := chart.Version
	if version == "" && chart.Devel {
		version = anyDevelopmentVersion
	}
	need := protocol.Need{Chart: &protocol.ChartNeed{Repository: chart.Repo, Name: chart.Name, Version: version}}
	place, found = protocol.Find(c.fetched, need)
	if !found {
		c.remotes.need(need)
	}
	return place, found, nil
}

// chartHome is the directory that holds the charts of a kustomization; those that are fetched have one per version.
func chartHome(directory string, globals types.HelmGlobals, chart types.HelmChart) string {
	home := globals.ChartHome
	if home == "" {
		home = types.HelmDefaultHome
	}
	if !path.IsAbs(home) {
		home = path.Join(directory, home)
	}
	if chart.Version != "" && chart.Repo != "" {
		home = path.Join(home, chart.Name+"-"+chart.Version)
	}
	return home
}

// inflate renders a chart as `helm template` prints it.
func (c *charts) inflate(g *chartGenerator) (text []byte, found bool, err error) {
	directory := g.helpers.Loader().Root()
	place, found, err := c.find(directory, g.HelmGlobals, g.HelmChart)
	if err != nil || !found {
		return nil, false, err
	}
	values, err := c.values(g, place)
	if err != nil {
		return nil, false, fmt.Errorf("values of the chart %s in '%s': %w", g.Name, directory, err)
	}
	request := &protocol.Helm{
		Chart: place, ReleaseName: g.ReleaseName, Namespace: g.Namespace, Values: values,
		IncludeCRDs: g.IncludeCRDs, SkipTests: g.SkipTests,
		KubeVersion: g.KubeVersion, APIVersions: g.ApiVersions, Fetched: c.fetched,
	}
	if request.ReleaseName == "" {
		request.ReleaseName = c.releaseName
		c.warnings = append(c.warnings, fmt.Sprintf("the chart %s in '%s' has no releaseName, so that Kustomize would make up another at each build; it is called %q here",
			g.Name, directory, c.releaseName))
	}
	if request.KubeVersion == "" {
		request.KubeVersion = c.kubeVersion
	}
	if len(request.APIVersions) == 0 {
		request.APIVersions = c.apiVersions
	}
	done, err := helm.Render(c.client, request)
	var needs *protocol.NeedsError
	if errors.As(err, &needs) {
		for _, need := range needs.Needs {
			c.remotes.need(need)
		}
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("the chart %s in '%s': %w", g.Name, directory, err)
	}
	c.warnings = append(c.warnings, done.Warnings...)
	c.unstable = append(c.unstable, done.Unstable...)
	var all bytes.Buffer
	for _, document := range done.Documents {
		fmt.Fprintf(&all, "---\n%s\n", strings.TrimSuffix(document.Text, "\n"))
	}
	return all.Bytes(), true, nil
}

// values are the documents that Kustomize would hand to helm: first the chart's own or those of valuesFile, into which
// valuesInline is merged, then the additional ones.
func (c *charts) values(g *chartGenerator, chart protocol.Place) ([]protocol.NamedText, error) {
	first, err := c.firstValues(g, chart)
	if err != nil {
		return nil, err
	}
	values := []protocol.NamedText{{Name: "values", Text: string(first)}}
	for i, text := range g.additional {
		values = append(values, protocol.NamedText{Name: g.AdditionalValuesFiles[i], Text: string(text)})
	}
	return values, nil
}

func (c *charts) firstValues(g *chartGenerator, chart protocol.Place) ([]byte, error) {
	inline := len(g.ValuesInline) > 0
	switch g.ValuesMerge {
	case "", "override", "merge":
	case "replace":
		if inline {
			return yaml.Marshal(g.ValuesInline)
		}
	default:
		return nil, fmt.Errorf("valuesMerge is %q; it can be override, merge or replace", g.ValuesMerge)
	}
	file, err := c.valuesFile(g, chart)
	if err != nil || !inline {
		return file, err
	}
	fromFile, err := kyaml.Parse(string(file))
	if err != nil {
		return nil, err
	}
	fromInline, err := kyaml.FromMap(g.ValuesInline)
	if err != nil {
		return nil, err
	}
	winner, loser := fromInline, fromFile
	if g.ValuesMerge == "merge" {
		winner, loser = fromFile, fromInline
	}
	merged, err := merge2.Merge(winner, loser, kyaml.MergeOptions{})
	if err != nil {
		return nil, err
	}
	values, err := merged.Map()
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(values)
}

func (c *charts) valuesFile(g *chartGenerator, chart protocol.Place) ([]byte, error) {
	if g.ValuesFile != "" {
		return g.helpers.Loader().Load(g.ValuesFile)
	}
	local := path.Join(chartHome(g.helpers.Loader().Root(), g.HelmGlobals, g.HelmChart), g.Name)
	if place, inside := c.mounts.place(local); inside && place == chart {
		return g.helpers.Loader().Load(path.Join(local, "values.yaml"))
	}
	// Of a chart that was fetched. Kustomize, too, insists that there is one.
	text, err := c.client.Read(chart.Root, path.Join(chart.Path, "values.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the chart has no values.yaml; name a valuesFile")
	}
	if err != nil {
		return nil, err
	}
	return text, checkAliases("values.yaml", text, false)
}
