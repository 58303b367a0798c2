package kustomize

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

func TestOverlaysThatAreRefused(t *testing.T) {
	cases := map[string]struct {
		files map[string]string
		flags []string
		want  string
	}{
		"no directory":          {map[string]string{"other/a": ""}, nil, "there is no directory 'overlay' in the repository"},
		"no kustomization":      {map[string]string{"overlay/a.yaml": ""}, nil, "unable to find one of 'kustomization.yaml'"},
		"two kustomizations":    {map[string]string{"overlay/kustomization.yaml": "namePrefix: a", "overlay/Kustomization": "namePrefix: a"}, nil, "Found multiple kustomization files under: overlay"},
		"an empty one":          {map[string]string{"overlay/kustomization.yaml": ""}, nil, "kustomization.yaml is empty"},
		"no YAML":               {map[string]string{"overlay/kustomization.yaml": "a: ["}, nil, "invalid Kustomization"},
		"an unknown field":      {map[string]string{"overlay/kustomization.yaml": "resource: [a]"}, nil, `unknown field "resource"`},
		"a missing file":        {map[string]string{"overlay/kustomization.yaml": "resources: [none.yaml]"}, nil, "'overlay/none.yaml' does not exist"},
		"a base outside":        {map[string]string{"overlay/kustomization.yaml": "resources: [../../other]"}, nil, "leads out of the repository"},
		"a file outside":        {map[string]string{"overlay/kustomization.yaml": "resources: [../../../etc/passwd]"}, []string{"--load-restrictor=LoadRestrictionsNone"}, "'/etc/passwd' leads out of the repository"},
		"an absolute file":      {map[string]string{"overlay/kustomization.yaml": "patches: [{path: /etc/passwd}]"}, []string{"--load-restrictor=LoadRestrictionsNone"}, "'/etc/passwd' leads out of the repository"},
		"an absolute base":      {map[string]string{"overlay/kustomization.yaml": "resources: [/etc]"}, nil, "leads out of the repository"},
		"a file above its root": {map[string]string{"overlay/kustomization.yaml": "resources: [../a.yaml]", "a.yaml": configMap("a")}, nil, "security; file 'a.yaml' is not in or below 'overlay'"},
		"a cycle": {map[string]string{"overlay/kustomization.yaml": "resources: [../base]", "base/kustomization.yaml": "resources: [../overlay]"},
			nil, "cycle detected: candidate root 'overlay' contains visited root 'overlay'"},
		"itself":                {map[string]string{"overlay/kustomization.yaml": "resources: [.]"}, nil, "cycle detected"},
		"a cycle of components": {map[string]string{"overlay/kustomization.yaml": "components: [../c]", "c/kustomization.yaml": "kind: Component\ncomponents: [../d]", "d/kustomization.yaml": "kind: Component\ncomponents: [../c]"}, nil, "cycle detected"},
		"a component as a base": {map[string]string{"overlay/kustomization.yaml": "resources: [../c]", "c/kustomization.yaml": "kind: Component\nnamePrefix: a"}, nil, "expected kind != 'Component' for path 'c'"},
		"one object twice":      {map[string]string{"overlay/kustomization.yaml": "resources: [a.yaml, b.yaml]", "overlay/a.yaml": configMap("a"), "overlay/b.yaml": configMap("a")}, nil, "already registered id"},
		"a patch for nothing":   {map[string]string{"overlay/kustomization.yaml": "patches: [{path: a.yaml}]", "overlay/a.yaml": configMap("a")}, nil, "no resource matches strategic merge patch"},
		"no schema":             {map[string]string{"overlay/kustomization.yaml": "openapi: {path: schema.json}\nresources: [a.yaml]\npatches: [{path: a.yaml}]", "overlay/a.yaml": configMap("a"), "overlay/schema.json": "]["}, nil, "invalid schema"},
		"a program": {map[string]string{"overlay/kustomization.yaml": "transformers: [a.yaml]",
			"overlay/a.yaml": "apiVersion: example.org/v1\nkind: Runner\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n"}, nil, "external plugins disabled"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			done, _, err := render(treetest.Files{"": test.files}, protocol.Kustomize{Path: "overlay", BuildOptions: test.flags})
			if err == nil {
				t.Fatalf("built %s", text(done))
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "/tree") {
				t.Errorf("says %q", err)
			}
		})
	}
	// Whatever they were, the next build is as any other.
	done, _, err := render(treetest.Files{"": editable()}, protocol.Kustomize{Path: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := real(t, editable(), "overlay", nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, text(done), want)
}

// linked is a controller whose repository has symbolic links.
type linked struct {
	kustomization string
	file          string
}

func (l linked) Ask(ask protocol.Ask) (protocol.Answer, error) {
	switch {
	case ask.Stat != nil && strings.HasSuffix(ask.Stat.Path, "outside"):
		return protocol.Answer{Error: fmt.Sprintf("%s is a symbolic link that leaves the repository", ask.Stat.Path)}, nil
	case ask.Stat != nil && strings.HasSuffix(ask.Stat.Path, "/kustomization.yaml"):
		return protocol.Answer{Kind: protocol.File}, nil
	case ask.Stat != nil && isKustomization(ask.Stat.Path):
		return protocol.Answer{Kind: protocol.Absent}, nil
	case ask.Stat != nil:
		return protocol.Answer{Kind: protocol.Directory}, nil
	case ask.Read != nil:
		return protocol.Answer{Data: []byte(l.kustomization)}, nil
	default:
		return protocol.Answer{Error: "nothing else is asked"}, nil
	}
}

func TestSymbolicLinks(t *testing.T) {
	_, err := confined(linked{kustomization: "resources: [outside]"}, protocol.Kustomize{Path: "overlay"})
	if err == nil || err.Error() != "overlay/outside is a symbolic link that leaves the repository" {
		t.Errorf("out of the repository: %v", err)
	}
	_, err = confined(linked{kustomization: "resources: [loop]"}, protocol.Kustomize{Path: "overlay"})
	if err == nil || !strings.Contains(err.Error(), "nested deeper than 64, in 'overlay/loop/loop") {
		t.Errorf("into itself: %v", err)
	}
}

func TestBasesThatDouble(t *testing.T) {
	const levels = 20
	files := map[string]string{fmt.Sprintf("l%d/kustomization.yaml", levels): "resources: [a.yaml]\n", fmt.Sprintf("l%d/a.yaml", levels): configMap("a")}
	for level := range levels {
		for _, side := range []string{"a", "b"} {
			files[fmt.Sprintf("l%d/%s/kustomization.yaml", level, side)] = fmt.Sprintf("namePrefix: %s-\nresources: [../../l%d]\n", side, level+1)
		}
		files[fmt.Sprintf("l%d/kustomization.yaml", level)] = "resources: [a, b]\n"
	}
	_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "l0"})
	if err == nil || !strings.Contains(err.Error(), "more than 10000 kustomizations are read for 'l0'") {
		t.Errorf("%v", err)
	}
}

// bomb is a document of a few hundred bytes that stands for a billion values.
func bomb() string {
	var text strings.Builder
	text.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for level := 1; level < 9; level++ {
		fmt.Fprintf(&text, "a%d: &a%d [%s]\n", level, level, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", level-1), 10), ","))
	}
	return text.String()
}

// smallBomb is a document's worth of a hundred thousand values.
var smallBomb = strings.Join(strings.SplitAfter(bomb(), "\n")[:5], "")

func TestBombs(t *testing.T) {
	metadata := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	indented := strings.ReplaceAll(metadata+bomb(), "\n", "\n      ")
	for name, files := range map[string]map[string]string{
		"overlay/kustomization.yaml": {"overlay/kustomization.yaml": bomb()},
		"overlay/a.yaml":             {"overlay/kustomization.yaml": "resources: [a.yaml]\n", "overlay/a.yaml": metadata + bomb()},
		"overlay/b.yaml":             {"overlay/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: b.yaml}]\n", "overlay/a.yaml": configMap("a"), "overlay/b.yaml": metadata + bomb()},
		"overlay/list.yaml":          {"overlay/kustomization.yaml": "resources: [list.yaml]\n", "overlay/list.yaml": "apiVersion: v1\nkind: List\nitems: [1]\n" + bomb()},
		"overlay/kustomization.yml":  {"overlay/kustomization.yml": "resources: [a.yaml]\npatches:\n  - patch: |-\n      " + indented + "\n", "overlay/a.yaml": configMap("a")},
		"overlay/many.yaml":          {"overlay/kustomization.yaml": "resources: [many.yaml]\n", "overlay/many.yaml": strings.Repeat("---\n"+metadata+smallBomb, 6)},
		"overlay/self.yaml":          {"overlay/kustomization.yaml": "resources: [self.yaml]\n", "overlay/self.yaml": metadata + "data: &a {self: *a}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay"})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the aliases (*name) in '%s' stand for more than", name)) {
				t.Errorf("%v", err)
			}
		})
	}
	options := raw(t, table{"patches": []any{table{"patch": metadata + bomb()}}})
	_, _, err := render(treetest.Files{"": editable()}, protocol.Kustomize{Path: "overlay", Options: options})
	if err == nil || !strings.Contains(err.Error(), "the aliases (*name) in 'overlay/kustomization.yaml'") {
		t.Errorf("the Application's patch: %v", err)
	}
}

func TestMuchOutput(t *testing.T) {
	files := map[string]string{
		"overlay/kustomization.yaml": "resources: [a.yaml]\nconfigMapGenerator: [{name: large-1, files: [large.txt]}, {name: large-2, files: [large.txt]}, {name: large-3, files: [large.txt]}]\ngeneratorOptions: {disableNameSuffixHash: true}\n",
		"overlay/a.yaml":             configMap("a"),
		"overlay/large.txt":          strings.Repeat("0123456789abcdef", 12<<20/16),
	}
	_, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay"})
	if err == nil || !strings.Contains(err.Error(), "the overlay 'overlay': it renders to 36 MiB, the limit is 32") {
		t.Errorf("%v", err)
	}
}

const manyObjects = 1000

func TestManyAndLarge(t *testing.T) {
	var many strings.Builder
	for i := range manyObjects {
		many.WriteString("---\n" + configMap(fmt.Sprintf("map-%d", i)) + "data: {a: b}\n")
	}
	large := strings.Repeat("0123456789abcdef", 1<<20)
	files := map[string]string{
		"overlay/kustomization.yaml": "resources: [many.yaml]\nconfigMapGenerator: [{name: large, files: [large.txt]}]\ngeneratorOptions: {disableNameSuffixHash: true}\n",
		"overlay/many.yaml":          many.String(),
		"overlay/large.txt":          large,
	}
	began := time.Now()
	done, _, err := render(treetest.Files{"": files}, protocol.Kustomize{Path: "overlay"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v for %d bytes", time.Since(began), len(text(done)))
	if strings.Count(text(done), "kind: ConfigMap") != manyObjects+1 || !strings.Contains(text(done), large) {
		t.Errorf("%d objects in %d bytes", strings.Count(text(done), "kind: ConfigMap"), len(text(done)))
	}
}
