package kustomize

import (
	"errors"
	"fmt"
	"slices"
	_ "unsafe" // For go:linkname.

	"sigs.k8s.io/kustomize/api/builtins"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// generatorFactories is Kustomize's own table of what makes each of its generators.
//
// Its generator of charts runs the program helm and writes to the disk, and no option hands it another. Replaced in this
// table, everything around it stays Kustomize's: where charts stand among the generators, the namespace that bases inherit,
// patches of generators. A table that moved does not link; one without that generator fails in withCharts. The linker does
// not compare types; a test does.
//
//go:linkname generatorFactories sigs.k8s.io/kustomize/api/internal/plugins/builtinhelpers.GeneratorFactories
var generatorFactories map[int]func() resmap.GeneratorPlugin

// chartGeneratorKey is where in the table the generator of charts stands, -1 if it is not there.
var chartGeneratorKey = findChartGenerator()

func findChartGenerator() int {
	for key, factory := range generatorFactories {
		if _, is := factory().(*builtins.HelmChartInflationGeneratorPlugin); is {
			return key
		}
	}
	return -1
}

// withCharts makes charts come from `charts` while `build` runs, and from nowhere at other times. One build runs at a time.
func withCharts(source *charts, build func() error) error {
	if chartGeneratorKey < 0 {
		return errors.New("this build of the renderer does not know where Kustomize keeps its generator of charts")
	}
	put := func(source *charts) {
		generatorFactories[chartGeneratorKey] = func() resmap.GeneratorPlugin { return &chartGenerator{charts: source} }
	}
	put(source)
	defer put(nil)
	return build()
}

// chartGenerator is one entry of `helmCharts`, or one HelmChartInflationGenerator, as Kustomize drives it.
type chartGenerator struct {
	charts  *charts
	helpers *resmap.PluginHelpers
	types.HelmGlobals
	types.HelmChart
	additional [][]byte
}

// Config reads the entry.
func (g *chartGenerator) Config(helpers *resmap.PluginHelpers, config []byte) error {
	if g.charts == nil {
		return fmt.Errorf("a chart is to be inflated in '%s', which is off; put --enable-helm into kustomize.buildOptions of argocd-cm",
			helpers.Loader().Root())
	}
	g.helpers = helpers
	if err := yaml.Unmarshal(config, g); err != nil {
		return err
	}
	switch {
	case g.Name == "":
		return fmt.Errorf("an entry of helmCharts in '%s' has no name", helpers.Loader().Root())
	case g.NameTemplate != "":
		return fmt.Errorf("the chart %s in '%s' has a nameTemplate, which is not supported; use releaseName", g.Name, helpers.Loader().Root())
	}
	for _, file := range g.AdditionalValuesFiles {
		text, err := helpers.Loader().Load(file)
		if err != nil {
			return fmt.Errorf("additionalValuesFiles of the chart %s: %w", g.Name, err)
		}
		g.additional = append(g.additional, text)
	}
	return nil
}

// Generate inflates the chart. One that is to be fetched first gives nothing: the answer to the build is what it needs.
func (g *chartGenerator) Generate() (resmap.ResMap, error) {
	text, found, err := g.charts.inflate(g)
	if err != nil || !found {
		return nil, err
	}
	objects, err := g.objects(text)
	if err != nil {
		return nil, fmt.Errorf("what the chart %s renders to: %w", g.Name, err)
	}
	return objects, nil
}

// objects reads what a chart renders to, and marks it as Kustomize does: its namespaces are Helm's business.
func (g *chartGenerator) objects(text []byte) (resmap.ResMap, error) {
	if err := checkAliases("chart "+g.Name, text, false); err != nil {
		return nil, err
	}
	factory := g.helpers.ResmapFactory()
	nodes, err := factory.RF().RNodesFromBytes(text)
	if err != nil {
		return nil, err
	}
	if g.SkipHooks {
		nodes = slices.DeleteFunc(nodes, func(node *kyaml.RNode) bool { return node.GetAnnotations(hookAnnotation)[hookAnnotation] != "" })
	}
	for _, node := range nodes {
		if err := node.PipeE(kyaml.SetAnnotation(konfig.HelmGeneratedAnnotation, "true")); err != nil {
			return nil, err
		}
	}
	return factory.NewResMapFromRNodeSlice(nodes)
}

// hookAnnotation makes an object a hook of Helm.
const hookAnnotation = "helm.sh/hook"
