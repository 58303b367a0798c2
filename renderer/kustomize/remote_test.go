package kustomize

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func need(url string) protocol.Need {
	return protocol.Need{Resource: &protocol.ResourceNeed{URL: url}}
}

// needed are the keys of what a build says that it needs.
func needed(t *testing.T, err error) []string {
	t.Helper()
	var needs *protocol.NeedsError
	if !errors.As(err, &needs) {
		t.Fatalf("no needs, but %v", err)
	}
	var keys []string
	for _, need := range needs.Needs {
		if need.Resource != nil {
			keys = append(keys, need.Resource.URL)
		} else {
			keys = append(keys, need.Chart.Repository+" "+need.Chart.Name+" "+need.Chart.Version)
		}
	}
	return keys
}

func TestAllThatIsRemoteIsNeededAtOnce(t *testing.T) {
	files := map[string]string{
		"overlay/kustomization.yaml": `
resources:
  - ../base
  - own.yaml
  - https://github.com/org/repo//dir?ref=v1
  - https://example.org/install.yaml
bases: ['git@example.org:org/bases.git']
components: ['ssh://git@example.org/org/component?ref=main']
generators: [github.com/org/generators/dir]
transformers:
  - git::https://example.org/org/transformers
  - |-
    apiVersion: builtin
    kind: PrefixTransformer
    metadata: {name: inline}
    prefix: x-
validators: [https://example.org/org/validators.git//v]
crds: [https://example.org/crd.json]
configurations: [https://example.org/config.yaml]
openapi: {path: https://example.org/schema.json}
patches: [{path: https://example.org/patch.yaml}]
patchesStrategicMerge: [https://example.org/merge.yaml]
patchesJson6902: [{path: https://example.org/json.yaml, target: {kind: X}}]
replacements: [{path: https://example.org/replacement.yaml}]
configMapGenerator:
  - name: a
    files: [key=https://example.org/file.txt, https://example.org/install.yaml]
    envs: [https://example.org/env]
secretGenerator:
  - name: b
    env: https://example.org/secret.env
`,
		"overlay/own.yaml":        configMap("own"),
		"base/kustomization.yaml": "resources: [https://example.org/nested.yaml, ../deeper]\n",
		"deeper/Kustomization":    "resources: ['bitbucket@example.org:team/deep?ref=x']\n",
	}
	_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", Options: raw(t, table{"components": []string{"https://example.org/org/optional//c"}})})
	got := needed(t, err)
	want := []string{
		"https://example.org/org/optional//c",
		"https://example.org/nested.yaml", "bitbucket@example.org:team/deep?ref=x",
		"https://github.com/org/repo//dir?ref=v1", "https://example.org/install.yaml", "git@example.org:org/bases.git",
		"github.com/org/generators/dir", "git::https://example.org/org/transformers", "https://example.org/org/validators.git//v",
		"ssh://git@example.org/org/component?ref=main", "https://example.org/crd.json", "https://example.org/config.yaml", "https://example.org/schema.json",
		"https://example.org/patch.yaml", "https://example.org/json.yaml", "https://example.org/merge.yaml", "https://example.org/replacement.yaml",
		"https://example.org/env", "https://example.org/file.txt", "https://example.org/secret.env",
	}
	if !slices.Equal(got, want) {
		t.Errorf("needs\n%s\ninstead of\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// git makes a repository of files and returns its URL.
func git(t *testing.T, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	treetest.Save(t, directory, files)
	for _, arguments := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "."},
		{"-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", "all"}, {"tag", "v1"},
	} {
		program, err := lookPath("git")
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(program, arguments...)
		command.Dir = directory
		command.Env = []string{"PATH=" + searchPath, "HOME=" + directory}
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", arguments, err, out)
		}
	}
	return "file://" + directory
}

// lookPath finds a program on the search path as it was.
func lookPath(name string) (string, error) {
	for _, directory := range filepath.SplitList(searchPath) {
		if full := filepath.Join(directory, name); exists(full) {
			return full, nil
		}
	}
	return "", exec.ErrNotFound
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func TestWhatWasFetchedEqualsTheCommand(t *testing.T) {
	second := map[string]string{
		"kustomization.yaml": "resources: [second.yaml]\n",
		"second.yaml":        configMap("second"),
	}
	secondURL := git(t, second) + "/?ref=main"
	first := map[string]string{
		"bases/one/kustomization.yaml":     "resources: [one.yaml, ../two]\nnamePrefix: one-\n",
		"bases/one/one.yaml":               configMap("one"),
		"bases/two/kustomization.yml":      "resources: [two.yaml, '" + secondURL + "']\nconfigMapGenerator: [{name: generated, files: [data.txt]}]\n",
		"bases/two/two.yaml":               configMap("two"),
		"bases/two/data.txt":               "data",
		"components/c/kustomization.yaml":  "kind: Component\nresources: [../../bases/one/../three]\ncommonAnnotations: {component: c}\n",
		"bases/three/kustomization.yaml":   "resources: [three.yaml]\n",
		"bases/three/three.yaml":           configMap("three"),
		"transformers/kustomization.yaml":  "resources: [suffix.yaml]\n",
		"transformers/suffix.yaml":         "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: s}\nsuffix: -s\nfieldSpecs: [{path: metadata/name}]\n",
		"outside-of-the-bases/anything.md": "text",
	}
	firstURL := git(t, first)
	files := treetest.Files{"need:0": first, "need:1": second, "need:2": {
		"all.yaml": configMap("http") + "---\n" + configMap("http-two"), "patch.yaml": "- {op: add, path: /metadata/labels, value: {patched: over-http}}\n",
		"data.properties": "a=b\n", "schema.json": `{"definitions": {}}`,
	}}
	server := httptest.NewServer(http.FileServerFS(mapFS(files["need:2"])))
	defer server.Close()

	baseURL, componentURL, transformersURL := firstURL+"//bases/one?ref=v1", firstURL+"//components/c?ref=main", firstURL+"//transformers"
	files[""] = map[string]string{
		"overlay/kustomization.yaml": `
resources:
  - ` + baseURL + `
  - ` + server.URL + `/all.yaml
  - ../local
components: ['` + componentURL + `']
transformers: ['` + transformersURL + `']
configMapGenerator:
  - name: over-http
    files: [` + server.URL + `/data.properties, key=` + server.URL + `/patch.yaml]
    envs: [` + server.URL + `/data.properties]
patches:
  - path: ` + server.URL + `/patch.yaml
    target: {name: http.*}
buildMetadata: [originAnnotations, transformerAnnotations]
namespace: team
`,
		"local/kustomization.yaml": "resources: [local.yaml]\n",
		"local/local.yaml":         configMap("local"),
	}
	want, err := real(t, files[""], "overlay", nil)
	if err != nil {
		t.Fatal(err)
	}
	request := protocol.Kustomize{Path: "overlay"}
	fetchable := []protocol.Fetched{
		{Need: need(baseURL), Root: "need:0", Path: "bases/one"},
		{Need: need(componentURL), Root: "need:0", Path: "components/c"},
		{Need: need(transformersURL), Root: "need:0", Path: "transformers"},
		{Need: need(secondURL), Root: "need:1", Path: ""},
	}
	for name := range files["need:2"] {
		fetchable = append(fetchable, protocol.Fetched{Need: need(server.URL + "/" + name), Root: "need:2", Path: name})
	}
	var done *protocol.Done
	rounds := 0
	for ; done == nil; rounds++ {
		if done, _, err = render(files, request); err != nil {
			for _, url := range needed(t, err) {
				i := slices.IndexFunc(fetchable, func(one protocol.Fetched) bool { return one.Need.Resource.URL == url })
				if i < 0 || slices.Contains(request.Fetched, fetchable[i]) {
					t.Fatalf("needs %s", url)
				}
				request.Fetched = append(request.Fetched, fetchable[i])
			}
		}
	}
	if rounds != 3 {
		t.Errorf("%d rounds: the first needs, those of what was fetched, the build", rounds)
	}
	same(t, text(done), want)
	if !strings.Contains(want, "ref: v1") || strings.Contains(text(done), "tree") {
		t.Errorf("no origins:\n%s", text(done))
	}
}

func mapFS(files map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

// What Kustomize reads by a URL outside of a kustomization is found when it is read.
func TestARemoteFileOfAGenerator(t *testing.T) {
	url := "https://example.org/data.txt"
	files := treetest.Files{
		"": {
			"overlay/kustomization.yaml": "generators: [generator.yaml]\n",
			"overlay/generator.yaml":     "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nfiles: [" + url + "]\n",
		},
		"need:0": {"data.txt": "over http"},
	}
	_, _, err := render(files, protocol.Kustomize{Path: "overlay"})
	if got := needed(t, err); !slices.Equal(got, []string{url}) {
		t.Errorf("needs %q", got)
	}
	done, _, err := render(files, protocol.Kustomize{Path: "overlay", Fetched: []protocol.Fetched{{Need: need(url), Root: "need:0", Path: "data.txt"}}})
	if err != nil || !strings.Contains(text(done), "data.txt: over http") {
		t.Errorf("%v, %v", done, err)
	}
}

func TestARemoteComponentOfTheApplication(t *testing.T) {
	url := "https://github.com/org/repo//components/a?ref=v1"
	files := treetest.Files{
		"":       {"overlay/kustomization.yaml": "resources: [a.yaml]\n", "overlay/a.yaml": configMap("a")},
		"need:0": {"components/a/kustomization.yaml": "kind: Component\nnamePrefix: remote-\n"},
	}
	fetched := []protocol.Fetched{{Need: need(url), Root: "need:0", Path: "components/a"}}
	done, _, err := render(files, protocol.Kustomize{Path: "overlay", Options: raw(t, table{"components": []string{url}}), Fetched: fetched})
	if err != nil || !strings.Contains(text(done), "name: remote-a") {
		t.Errorf("%v, %v", done, err)
	}
	done, _, err = render(files, protocol.Kustomize{Path: "overlay", Options: raw(t, table{"components": []string{url}, "ignoreMissingComponents": true})})
	if err != nil || !strings.Contains(text(done), "name: a") || len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], url) {
		t.Errorf("%v, %v", done, err)
	}
}

func TestAFileThatIsCalledLikeARepository(t *testing.T) {
	files := map[string]string{
		"overlay/kustomization.yaml":       "resources: [github.com/org/repo.yaml]\n",
		"overlay/github.com/org/repo.yaml": configMap("local"),
	}
	want, err := real(t, files, "overlay", nil)
	if err != nil {
		t.Fatal(err)
	}
	done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, text(done), want)
}

func TestWhatWasFetchedStaysInItsTree(t *testing.T) {
	url := "https://user:password@example.org/org/repo//a"
	for _, test := range []struct{ want, base string }{
		{"'/overlay' leads out of the repository", "resources: [../../../overlay]\n"},
		{"'/overlay/secret.txt' leads out of the repository", "configMapGenerator: [{name: x, files: [../../../../overlay/secret.txt]}]\n"},
		{"'/etc/passwd' leads out of the repository", "configMapGenerator: [{name: x, files: [/etc/passwd]}]\n"},
		{"'b (of https://example.org/org/repo//a)' does not exist", "resources: [../b]\n"},
		{"unknown field \"resource\"", "resource: []\n"},
		{"cycle detected", "resources: ['" + url + "']\n"},
		{"'a/missing.yaml (of https://example.org/org/repo//a)' does not exist", "resources: [missing.yaml]\n"},
	} {
		files := treetest.Files{
			"":       {"overlay/kustomization.yaml": "resources: ['" + url + "']\n", "overlay/secret.txt": "secret"},
			"need:0": {"a/kustomization.yaml": test.base},
		}
		_, _, err := render(files, protocol.Kustomize{Path: "overlay", BuildOptions: []string{"--load-restrictor=LoadRestrictionsNone"},
			Fetched: []protocol.Fetched{{Need: need(url), Root: "need:0", Path: "a"}}})
		if err == nil {
			t.Errorf("%q was built", test.base)
			continue
		}
		said := err.Error()
		if !strings.Contains(said, test.want) || strings.Contains(said, "password") || strings.Contains(said, "/tree") || strings.Contains(said, "need:0") {
			t.Errorf("%q: says %q", test.base, said)
		}
	}
	files := treetest.Files{"": {"overlay/kustomization.yaml": "resources: ['" + url + "']\n"}, "need:0": {"b/kustomization.yaml": ""}}
	_, _, err := render(files, protocol.Kustomize{Path: "overlay", Fetched: []protocol.Fetched{{Need: need(url), Root: "need:0", Path: "a"}}})
	if err == nil || !strings.Contains(err.Error(), "'a (of https://example.org/org/repo//a)' does not exist; correct the URL https://example.org/org/repo//a") {
		t.Errorf("says %v", err)
	}
}

// Nothing of a build reaches git or another host. Should Kustomize ever ask for them without us, it finds neither.
func TestKustomizeFindsNoGitAndNoNetwork(t *testing.T) {
	if _, err := lookPath("git"); err != nil {
		t.Fatal("there is no git that could be found")
	}
	connections := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { connections++ }))
	defer server.Close()
	if err := seal(); err != nil {
		t.Fatal(err)
	}
	for want, entry := range map[string]string{
		"no 'git' program on path": "ssh://git@localhost/org/repo",
		"has no network":           server.URL + "/a.yaml",
		"git' program on path":     "file://" + t.TempDir() + "//a",
	} {
		memory := filesys.MakeFsInMemory()
		if err := memory.WriteFile("/kustomization.yaml", []byte("resources: ['"+entry+"']\n")); err != nil {
			t.Fatal(err)
		}
		_, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", entry, err)
		}
	}
	if _, err := http.Get(server.URL); err == nil || connections > 0 {
		t.Errorf("the network was reached: %v, %d connections", err, connections)
	}
}
