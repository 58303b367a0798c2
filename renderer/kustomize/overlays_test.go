package kustomize

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

func TestOverlaysEqualTheCommand(t *testing.T) {
	names, err := filepath.Glob("testdata/overlays/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no overlays: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			comment, files := archive(t, string(content))
			var flags []string
			if first, _, _ := strings.Cut(comment, "\n"); strings.HasPrefix(first, "flags: ") {
				flags = strings.Fields(strings.TrimPrefix(first, "flags: "))
			}
			want, err := real(t, files, "overlay", nil, flags...)
			if err != nil {
				t.Fatal(err)
			}
			// Twice: the second build must not see what the first left behind.
			for range 2 {
				done, controller, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay", BuildOptions: flags})
				if err != nil {
					t.Fatal(err)
				}
				same(t, text(done), want)
				for _, asked := range controller.Asked {
					if strings.HasPrefix(asked, "tree") || strings.HasPrefix(asked, "list") {
						t.Errorf("asked %q: more than the build reads", asked)
					}
				}
			}
		})
	}
}

func TestABuildLeavesNoSchemaBehind(t *testing.T) {
	content, err := os.ReadFile("testdata/overlays/crds.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, with := archive(t, string(content))
	without := map[string]string{}
	for name, text := range with {
		without[name] = strings.ReplaceAll(text, "openapi:\n  path: schema.json\n", "")
	}
	want, err := real(t, without, "overlay", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := render(treetest.Files{"": with}, protocol.Kustomize{Path: "overlay"}); err != nil {
		t.Fatal(err)
	}
	done, _, err := render(treetest.Files{"": without}, protocol.Kustomize{Path: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, text(done), want)
	if strings.Count(text(done), "name: a\n") != 0 {
		t.Errorf("the list was merged by a schema that this overlay does not have")
	}
}

func TestOnlyWhatIsReadIsAskedFor(t *testing.T) {
	files := map[string]string{
		"app/kustomization.yaml": "resources: [../base, own.yaml]\n",
		"app/own.yaml":           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n",
		"app/unused.yaml":        "not: read\n",
		"base/kustomization.yml": "resources: [a.yaml]\n",
		"base/a.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"other/a.yaml":           "not: read\n",
	}
	_, controller, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "app"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"read app/kustomization.yaml", "read app/own.yaml", "read base/a.yaml", "read base/kustomization.yml",
		"stat app", "stat app/Kustomization", "stat app/kustomization.yaml", "stat app/kustomization.yml", "stat app/own.yaml",
		"stat base", "stat base/Kustomization", "stat base/a.yaml", "stat base/kustomization.yaml", "stat base/kustomization.yml",
	}
	if got := slices.Sorted(slices.Values(controller.Asked)); !slices.Equal(got, want) {
		t.Errorf("asked %q", got)
	}
}
