package kustomize

import (
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {kept: "yes"}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: "nginx:1.25"}
        - {name: proxy, image: "registry.example.org:5000/team/proxy:1"}
`

// editable is a repository whose overlay has a bit of everything that edits change.
func editable() map[string]string {
	return map[string]string{
		"overlay/kustomization.yaml": `# The first comment.
resources:
  - web.yaml
images:
  - name: nginx
    newTag: "1.26"
  - name: other
    newName: another
replicas:
  - {name: other, count: 9}
commonLabels:
  existing: label
commonAnnotations:
  existing: annotation
labels:
  - pairs: {shown: everywhere}
    includeTemplates: true
# Patches of our own.
patches:
  - patch: |-
      - {op: add, path: /metadata/annotations/first, value: "1"}
    target: {kind: Deployment}
`,
		"overlay/web.yaml":                      deployment + "---\n" + strings.ReplaceAll(strings.Replace(deployment, "Deployment", "StatefulSet", 1), "web", "other"),
		"overlay/patch.yaml":                    "- {op: add, path: /spec/paused, value: true}\n",
		"components/a/kustomization.yaml":       "kind: Component\nnameSuffix: -a\n",
		"components/b/kustomization.yaml":       "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\ncommonAnnotations: {b: is here}\n",
		"components/.hidden/kustomization.yaml": "kind: Component\nnameSuffix: -hidden\n",
		"components/file.yaml":                  "kind: Component\n",
	}
}

type table = map[string]any

func TestEditsEqualTheCommand(t *testing.T) {
	cases := map[string]struct {
		options table
		edits   [][]string
	}{
		"prefix and suffix":  {table{"namePrefix": "a-", "nameSuffix": "-z"}, [][]string{{"set", "nameprefix", "--", "a-"}, {"set", "namesuffix", "--", "-z"}}},
		"prefix like a flag": {table{"namePrefix": "--a"}, [][]string{{"set", "nameprefix", "--", "--a"}}},
		"namespace":          {table{"namespace": "team"}, [][]string{{"set", "namespace", "--", "team"}}},
		"names that are none": {
			table{"namespace": "No Name", "commonAnnotations": table{"a b": "x"}},
			[][]string{{"set", "namespace", "--", "No Name"}, {"add", "annotation", "a b:x"}},
		},
		"images": {
			table{"images": []string{"nginx:1.27", "registry.example.org:5000/team/proxy=proxy@sha256:" + strings.Repeat("a", 64), "unknown=x:y"}},
			[][]string{{"set", "image", "nginx:1.27", "registry.example.org:5000/team/proxy=proxy@sha256:" + strings.Repeat("a", 64), "unknown=x:y"}},
		},
		"images with a star":         {table{"images": []string{"nginx=mirror/nginx:*"}}, [][]string{{"set", "image", "nginx=mirror/nginx:*"}}},
		"images with tag and digest": {table{"images": []string{"nginx:1@sha256:" + strings.Repeat("b", 64)}}, [][]string{{"set", "image", "nginx:1@sha256:" + strings.Repeat("b", 64)}}},
		"replicas": {
			table{"replicas": []any{table{"name": "web", "count": 4}, table{"name": "other", "count": "5"}}},
			[][]string{{"set", "replicas", "web=4", "other=5"}},
		},
		"labels": {table{"commonLabels": table{"team": "core", "quoted": `"010"`}}, [][]string{{"add", "label", "team:core", `quoted:"010"`}}},
		"labels with force": {
			table{"commonLabels": table{"existing": "changed"}, "forceCommonLabels": true},
			[][]string{{"add", "label", "--force", "existing:changed"}},
		},
		"labels without selector": {
			table{"commonLabels": table{"team": "core", "b": "c"}, "labelWithoutSelector": true},
			[][]string{{"add", "label", "--without-selector", "b:c", "team:core"}},
		},
		"labels in templates": {
			table{"commonLabels": table{"team": "core", "shown": "changed"}, "labelWithoutSelector": true, "labelIncludeTemplates": true, "forceCommonLabels": true},
			[][]string{{"add", "label", "--force", "--without-selector", "--include-templates", "team:core", "shown:changed"}},
		},
		"annotations": {
			table{"commonAnnotations": table{"url": "https://example.org:8443/x", "empty": ""}},
			[][]string{{"add", "annotation", "url:https://example.org:8443/x", "empty:"}},
		},
		"annotations with force": {
			table{"commonAnnotations": table{"existing": "changed"}, "forceCommonAnnotations": true},
			[][]string{{"add", "annotation", "--force", "existing:changed"}},
		},
		"patches": {
			table{"patches": []any{
				table{"path": "patch.yaml", "target": table{"group": "apps", "version": "v1", "kind": "Deployment", "name": "web"}},
				table{"patch": "- {op: replace, path: /spec/replicas, value: 8}", "target": table{"labelSelector": "kept=yes"}},
			}},
			[][]string{
				{"add", "patch", "--path", "patch.yaml", "--group", "apps", "--version", "v1", "--kind", "Deployment", "--name", "web"},
				{"add", "patch", "--patch", "- {op: replace, path: /spec/replicas, value: 8}", "--label-selector", "kept=yes"},
			},
		},
		"components": {
			table{"components": []string{"../components/b", "../components/a"}},
			[][]string{{"add", "component", "../components/b", "../components/a"}},
		},
		"components by pattern": {table{"components": []string{"../components/[ab]"}}, [][]string{{"add", "component", "../components/[ab]"}}},
		"hidden components":     {table{"components": []string{"../components/.h*"}}, [][]string{{"add", "component", "../components/.h*"}}},
		"missing components left out": {
			table{"components": []string{"../components/none", "../components/b"}, "ignoreMissingComponents": true},
			[][]string{{"add", "component", "../components/b"}},
		},
		"only missing components": {table{"components": []string{"../components/none"}, "ignoreMissingComponents": true}, nil},
		"everything": {
			table{
				"namePrefix": "p-", "nameSuffix": "-s", "namespace": "n", "images": []string{"nginx:2"},
				"replicas": []any{table{"name": "web", "count": 2}}, "commonLabels": table{"l": "1"}, "commonAnnotations": table{"a": "1"},
				"patches":    []any{table{"path": "patch.yaml", "target": table{"kind": "Deployment"}}},
				"components": []string{"../components/a"},
			},
			[][]string{
				{"set", "nameprefix", "--", "p-"}, {"set", "namesuffix", "--", "-s"}, {"set", "image", "nginx:2"}, {"set", "replicas", "web=2"},
				{"add", "label", "l:1"}, {"add", "annotation", "a:1"}, {"set", "namespace", "--", "n"},
				{"add", "patch", "--path", "patch.yaml", "--kind", "Deployment"}, {"add", "component", "../components/a"},
			},
		},
		"nothing": {table{}, nil},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			files := editable()
			want, err := real(t, files, "overlay", test.edits)
			if err != nil {
				t.Fatal(err)
			}
			done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", Options: raw(t, test.options)})
			if err != nil {
				t.Fatal(err)
			}
			same(t, text(done), want)
			if files["overlay/kustomization.yaml"] != editable()["overlay/kustomization.yaml"] {
				t.Error("the user's file was changed")
			}
		})
	}
}

// What the command refuses is refused, and the message names the option and what is wrong.
func TestEditsThatConflict(t *testing.T) {
	cases := map[string]struct {
		options table
		edit    []string
		want    string
	}{
		"a label that is there":          {table{"commonLabels": table{"existing": "x"}}, []string{"add", "label", "existing:x"}, "kustomize.commonLabels cannot be put into the kustomization of 'overlay': label existing already in"},
		"an annotation that is there":    {table{"commonAnnotations": table{"existing": "x"}}, []string{"add", "annotation", "existing:x"}, "annotation existing already in kustomization file. Use --force"},
		"templates, but selectors too":   {table{"commonLabels": table{"a": "b"}, "labelIncludeTemplates": true}, []string{"add", "label", "--include-templates", "a:b"}, "--without-selector"},
		"a label of the patches of both": {table{"commonLabels": table{"shown": "x"}, "labelWithoutSelector": true, "labelIncludeTemplates": true}, []string{"add", "label", "--without-selector", "--include-templates", "shown:x"}, "already in kustomization"},
		"an image that is none":          {table{"images": []string{"nginx"}}, []string{"set", "image", "nginx"}, "invalid format of image"},
		"a replica without name":         {table{"replicas": []any{table{"name": "a=b", "count": 1}}}, []string{"set", "replicas", "a=b=1"}, "invalid format of replica"},
		"a component that is missing":    {table{"components": []string{"../components/none"}}, []string{"add", "component", "../components/none"}, "../components/none has no match"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := real(t, editable(), "overlay", [][]string{test.edit}); err == nil {
				t.Error("the command lets it through")
			}
			_, _, err := render(treetest.Files{"": editable()}, protocol.Kustomize{Path: "overlay", Options: raw(t, test.options)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("says %v", err)
			}
		})
	}
}

func TestCountsThatAreNone(t *testing.T) {
	for _, options := range []string{`{"replicas":[{"name":"web","count":"many"}]}`, `{"replicas":[{"name":"web","count":1.5}]}`, `{"replicas":[{"name":"web","count":true}]}`} {
		_, _, err := render(treetest.Files{"": editable()}, protocol.Kustomize{Path: "overlay", Options: []byte(options)})
		if err == nil || !strings.Contains(err.Error(), "no whole number") {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestBuildOptions(t *testing.T) {
	files := editable()
	files["shared.yaml"] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shared}\n"
	files["overlay/kustomization.yaml"] += "\nconfigMapGenerator:\n  - {name: outside, files: [../shared.yaml]}\n"
	for _, flags := range [][]string{
		{"--load-restrictor", "LoadRestrictionsNone"},
		{"--load-restrictor=LoadRestrictionsNone", "--reorder=none"},
		{"--load-restrictor=LoadRestrictionsNone", "--reorder", "legacy", "--as-current-user", "--enable-helm", "--enable-alpha-plugins=false"},
	} {
		want, err := real(t, files, "overlay", nil, flags...)
		if err != nil {
			t.Fatal(err)
		}
		done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: flags})
		if err != nil {
			t.Fatal(err)
		}
		same(t, text(done), want)
	}
	for want, flags := range map[string][]string{
		"is not in or below":               nil,
		"is not in or below ":              {"--load-restrictor=LoadRestrictionsRootOnly"},
		"--load-restrictor is \"Anything":  {"--load-restrictor=Anything"},
		"--reorder is \"random\"":          {"--reorder=random"},
		"let a repository run programs":    {"--enable-alpha-plugins"},
		"let a repository run programs, w": {"--enable-exec=true"},
		"unknown flag: --network":          {"--network"},
		"\"overlay\" is no option":         {"overlay"},
	} {
		_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: flags})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", flags, err)
		}
	}
}
