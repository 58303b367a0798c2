// Records every property path of Argo CD's CustomResourceDefinitions with its type, format and required fields: what ours
// must take as well. No text of theirs is recorded.
//
//	go mod download github.com/argoproj/argo-cd/v3@v3.6.1
//	go run . "$(go env GOMODCACHE)/github.com/argoproj/argo-cd/v3@v3.6.1/manifests/crds" ../../../crates/api/tests/data
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

type definition struct {
	Spec struct {
		Versions []struct {
			Schema struct {
				OpenAPIV3Schema schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

type schema struct {
	Type                 string            `json:"type"`
	Format               string            `json:"format"`
	Required             []string          `json:"required"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items"`
	AdditionalProperties *schema           `json:"additionalProperties"`
	IntOrString          bool              `json:"x-kubernetes-int-or-string"`
	Preserve             bool              `json:"x-kubernetes-preserve-unknown-fields"`
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: go run . CRDS DIRECTORY"))
	}
	for _, name := range []string{"application", "appproject"} {
		text, err := os.ReadFile(filepath.Join(os.Args[1], name+"-crd.yaml"))
		if err != nil {
			fail(err)
		}
		var read definition
		if err := yaml.Unmarshal(text, &read); err != nil {
			fail(err)
		}
		var out strings.Builder
		out.WriteString("# Recorded by tools/oracles/crds from Argo CD 3.6.1: path, type, required fields.\n")
		walk(&out, "", read.Spec.Versions[0].Schema.OpenAPIV3Schema)
		path := filepath.Join(os.Args[2], name+"_paths.txt")
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			fail(err)
		}
	}
}

func walk(out *strings.Builder, path string, s schema) {
	kind := s.Type
	switch {
	case s.IntOrString:
		kind = "int-or-string"
	case s.Format != "":
		kind += "/" + s.Format
	case s.Preserve:
		kind = "any"
	}
	sort.Strings(s.Required)
	required := "-"
	if len(s.Required) > 0 {
		required = strings.Join(s.Required, ",")
	}
	fmt.Fprintf(out, "%s %s %s\n", name(path), kind, required)
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		walk(out, path+"."+name, s.Properties[name])
	}
	if s.Items != nil {
		walk(out, path+"[]", *s.Items)
	}
	if s.AdditionalProperties != nil {
		walk(out, path+"{}", *s.AdditionalProperties)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// name is the path as it is written; the root has one too.
func name(path string) string {
	if path == "" {
		return "."
	}
	return path
}
