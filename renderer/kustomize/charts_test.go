package kustomize

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

// chart is a chart whose objects show all that a kustomization can say about it.
func chart(directory, version string) map[string]string {
	return map[string]string{
		directory + "/Chart.yaml":           "apiVersion: v2\nname: app\nversion: " + version + "\n",
		directory + "/values.yaml":          "replicas: 1\nlist: [a]\nnested: {kept: chart, changed: chart}\n",
		directory + "/crds/definition.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n",
		directory + "/templates/all.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-app
  namespace: {{ .Release.Namespace }}
  labels: {version: {{ .Chart.Version | quote }}, kube: {{ .Capabilities.KubeVersion.Version | quote }}}
spec:
  replicas: {{ .Values.replicas }}
  template: {spec: {containers: [{name: app, image: "nginx:1"}]}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  values: {{ .Values | toJson | quote }}
  custom: {{ .Capabilities.APIVersions.Has "example.org/v1/Thing" | quote }}
`,
		directory + "/templates/hook.yaml":  "apiVersion: v1\nkind: Pod\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n",
		directory + "/templates/test.yaml":  "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
		directory + "/templates/NOTES.txt":  "Hello.\n",
		directory + "/templates/empty.yaml": "{{- if .Values.never }}\na: b\n{{- end }}\n",
	}
}

const inflated = `
resources: [own.yaml]
namespace: team
namePrefix: p-
helmGlobals: {chartHome: ../charts}
helmCharts:
  - name: app
    releaseName: release
    includeCRDs: true
    kubeVersion: v1.29.0
    apiVersions: [example.org/v1/Thing]
    additionalValuesFiles: [more.yaml]
    valuesInline: {nested: {changed: inline, added: inline}, list: [b]}
configMapGenerator:
  - {name: generated, literals: [a=b]}
images: [{name: nginx, newTag: "2"}]
patches:
  - target: {kind: Deployment}
    patch: "- {op: add, path: /metadata/annotations, value: {patched: yes-it-is}}"
`

func TestChartsEqualTheCommand(t *testing.T) {
	edited := func(old, new string) string { return strings.Replace(inflated, old, new, 1) }
	cases := map[string]map[string]string{
		"all":               {"overlay/kustomization.yaml": inflated},
		"no definitions":    {"overlay/kustomization.yaml": edited("includeCRDs: true", "includeCRDs: false")},
		"no hooks":          {"overlay/kustomization.yaml": edited("includeCRDs: true", "skipHooks: true")},
		"no tests":          {"overlay/kustomization.yaml": edited("includeCRDs: true", "skipTests: true")},
		"merged values":     {"overlay/kustomization.yaml": edited("includeCRDs: true", "valuesMerge: merge")},
		"replaced values":   {"overlay/kustomization.yaml": edited("includeCRDs: true", "valuesMerge: replace")},
		"values of a file":  {"overlay/kustomization.yaml": edited("includeCRDs: true", "valuesFile: own-values.yaml")},
		"its own namespace": {"overlay/kustomization.yaml": edited("includeCRDs: true", "namespace: apart")},
		"below, old style": {
			"overlay/kustomization.yaml": "resources: [../base]\nnamespace: inherited\nnameSuffix: -s\n",
			"base/kustomization.yaml": `helmChartInflationGenerator:
  - {chartName: app, releaseName: old, chartHome: ../charts, values: ../charts/app/values.yaml, valuesLocal: {replicas: 3}}
`,
		},
		"as a generator that is itself patched": {
			"overlay/kustomization.yaml":   "generators: [generator]\nnamespace: other\n",
			"generator/kustomization.yaml": "resources: [chart.yaml]\n",
			"generator/chart.yaml": "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: chart}\nname: app\nreleaseName: generated\n" +
				"chartHome: ../charts\nvaluesInline: {replicas: 1}\n",
			"overlay/generator/kustomization.yaml": "resources: [../../generator]\npatches:\n" +
				"  - {target: {kind: HelmChartInflationGenerator}, patch: '- {op: replace, path: /valuesInline/replicas, value: 6}'}\n",
		},
	}
	for name, overlay := range cases {
		t.Run(name, func(t *testing.T) {
			files := chart("charts/app", "1.0.0")
			files["overlay/own.yaml"] = configMap("own")
			files["overlay/more.yaml"] = "replicas: 4\n"
			files["overlay/own-values.yaml"] = "replicas: 2\nnested: {changed: file}\n"
			maps.Copy(files, overlay)
			flags := []string{"--enable-helm", "--load-restrictor=LoadRestrictionsNone"}
			want, err := real(t, files, "overlay", nil, append(flags, "--helm-command", helmCommand, "--helm-kube-version", "v1.36.3")...)
			if err != nil {
				t.Fatal(err)
			}
			done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: flags})
			if err != nil {
				t.Fatal(err)
			}
			same(t, text(done), want)
		})
	}
}

// What is declared a second time, for the linker to bring together, is declared alike.
func TestTheTableOfGeneratorsIsOfItsType(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(kustomizeSources, "internal/plugins/builtinhelpers/builtins.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nvar GeneratorFactories = map[BuiltinPluginType]func() resmap.GeneratorPlugin{\n", "\ntype BuiltinPluginType int\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("without %q", want)
		}
	}
}

func TestChartsThatAreFetched(t *testing.T) {
	kustomization := `
helmCharts:
  - {name: app, repo: "https://charts.example.org", version: 1.2.3, releaseName: a, valuesInline: {replicas: 2}}
  - {name: app, repo: "oci://registry.example.org/charts/", releaseName: b, devel: true}
  - {name: local, repo: "https://charts.example.org", releaseName: c}
generators:
  - |-
    apiVersion: builtin
    kind: HelmChartInflationGenerator
    metadata: {name: more}
    name: app
    repo: https://charts.example.org
    version: 1.2.3
    releaseName: d
`
	files := treetest.Files{"": chart("overlay/charts/local", "0.1.0")}
	files[""]["overlay/kustomization.yaml"] = kustomization + "resources: ['https://github.com/org/repo']\n"
	job := protocol.Kustomize{Path: "overlay", BuildOptions: []string{"--enable-helm"}}
	_, _, err := render(files, job)
	want := []string{"https://github.com/org/repo", "https://charts.example.org app 1.2.3", "oci://registry.example.org/charts/ app >0.0.0-0"}
	if got := needed(t, err); !slices.Equal(got, want) {
		t.Errorf("needs %q", got)
	}

	files[""]["overlay/kustomization.yaml"] = kustomization + "generatorOptions: {disableNameSuffixHash: true}\nnameSuffix: -s\n"
	files["need:0"], files["need:1"] = chart("app", "1.2.3"), chart("", "2.0.0")
	for name, text := range files["need:1"] {
		delete(files["need:1"], name)
		files["need:1"][strings.TrimPrefix(name, "/")] = text
	}
	job.Fetched = []protocol.Fetched{
		{Need: protocol.Need{Chart: &protocol.ChartNeed{Repository: "https://charts.example.org", Name: "app", Version: "1.2.3"}}, Root: "need:0", Path: "app"},
		{Need: protocol.Need{Chart: &protocol.ChartNeed{Repository: "oci://registry.example.org/charts/", Name: "app", Version: ">0.0.0-0"}}, Root: "need:1"},
	}
	// Each of the four charts brings the same ConfigMap and Pods.
	_, _, err = render(files, job)
	if err == nil || !strings.Contains(err.Error(), "settings") {
		t.Fatalf("four charts with one name: %v", err)
	}
	for _, tree := range files {
		for name, text := range tree {
			if strings.Contains(name, "templates/") {
				tree[name] = strings.NewReplacer("name: settings", "name: {{ .Release.Name }}-settings", "name: hook", "name: {{ .Release.Name }}-hook", "name: test", "name: {{ .Release.Name }}-test").Replace(text)
			}
		}
	}
	done, _, err := render(files, job)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: a-app", "name: b-app", "name: c-app", "name: d-app", "version: 1.2.3", "version: 2.0.0", "version: 0.1.0", "kube: v1.36.3"} {
		if !strings.Contains(text(done), want) {
			t.Errorf("%q is not in\n%s", want, text(done))
		}
	}

	// The same by the command, which finds both charts where it would have put them.
	onDisk := maps.Clone(files[""])
	for name, text := range files["need:0"] {
		onDisk["overlay/charts/app-1.2.3/"+name] = text
	}
	for name, text := range files["need:1"] {
		onDisk["overlay/charts/app/"+name] = text
	}
	expected, err := real(t, onDisk, "overlay", nil, "--enable-helm", "--helm-command", helmCommand, "--helm-kube-version", "v1.36.3")
	if err != nil {
		t.Fatal(err)
	}
	same(t, text(done), expected)
}

func TestChartsThatAreRefused(t *testing.T) {
	for _, test := range []struct{ want, entry, flags string }{
		{"put --enable-helm into kustomize.buildOptions", "{name: app, releaseName: a}", ""},
		{"is not in 'overlay/charts/other', and no repo is given", "{name: other}", "--enable-helm"},
		{"has no name", "{releaseName: a}", "--enable-helm"},
		{"nameTemplate", "{name: app, nameTemplate: x}", "--enable-helm"},
		{"valuesMerge is \"both\"", "{name: app, releaseName: a, valuesMerge: both}", "--enable-helm"},
		{"additionalValuesFiles of the chart app", "{name: app, additionalValuesFiles: [none.yaml]}", "--enable-helm"},
		{"is not in or below", "{name: app, releaseName: a, valuesFile: ../secret.yaml}", "--enable-helm"},
		{"is not in '/up', and no repo is given", "{name: up, releaseName: a, repo: ''}\nhelmGlobals: {chartHome: ../..}", "--enable-helm"},
		{"the release name", "{name: app, releaseName: '--post-renderer=x'}", "--enable-helm"},
	} {
		files := chart("overlay/charts/app", "1.0.0")
		files["secret.yaml"] = "a: secret"
		files["overlay/kustomization.yaml"] = "helmCharts:\n  - " + test.entry + "\n"
		_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: strings.Fields(test.flags), ReleaseName: "r"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.entry, err)
		}
	}
}

func TestAChartWithoutReleaseName(t *testing.T) {
	files := chart("overlay/charts/app", "1.0.0")
	files["overlay/charts/app/templates/random.yaml"] = configMap("random") + "data: {a: {{ randAlphaNum 5 | quote }}}\n"
	files["overlay/kustomization.yaml"] = "helmCharts: [{name: app}]\n"
	done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: []string{"--enable-helm"}, ReleaseName: "application"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text(done), "name: application-app") || len(done.Warnings) != 1 ||
		!strings.Contains(done.Warnings[0], "the chart app in 'overlay' has no releaseName") {
		t.Errorf("%q, %s", done.Warnings, text(done))
	}
	if len(done.Unstable) != 1 || !strings.Contains(done.Unstable[0], "randAlphaNum") {
		t.Errorf("unstable: %q", done.Unstable)
	}
}
