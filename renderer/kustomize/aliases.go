package kustomize

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// aliasesMax is how many values the aliases of one file may add to those that are written down. Kustomize writes out every
// alias before it does anything else, and counts nothing: a few lines can stand for billions.
const aliasesMax = 500_000

// checkAliases refuses a file whose aliases stand for too much. What is no YAML passes: it is somebody else's to judge.
// With inline, text in the file is looked at as well: a kustomization holds patches that are YAML themselves.
func checkAliases(name string, text []byte, inline bool) error {
	var aliases aliases
	if aliases.in(text, inline); aliases.added > aliasesMax {
		return fmt.Errorf("the aliases (*name) in '%s' stand for more than %d values; write out what they stand for, or split it", name, aliasesMax)
	}
	return nil
}

// aliases counts what the aliases of one file add, all its documents and what is in them together.
type aliases struct{ added int }

func (a *aliases) in(text []byte, inline bool) {
	// Text within text may be escaped: only the outermost can be told by its letters.
	if !inline && (!bytes.ContainsRune(text, '&') || !bytes.ContainsRune(text, '*')) {
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for a.added <= aliasesMax {
		var document yaml.Node
		if decoder.Decode(&document) != nil {
			return
		}
		sizes := sizes{known: map[*yaml.Node]int{}}
		sizes.of(&document)
		a.added += sizes.added
		if !inline {
			continue
		}
		for node := range sizes.known {
			if node.Kind == yaml.ScalarNode {
				a.in([]byte(node.Value), false)
			}
		}
	}
}

// sizes counts values, each node once and an alias as what it stands for.
type sizes struct {
	known map[*yaml.Node]int
	added int
}

func (s *sizes) of(node *yaml.Node) int {
	if size, known := s.known[node]; known {
		return size
	}
	// What holds an alias of itself has no end.
	s.known[node] = aliasesMax + 1
	size := 1
	for _, child := range node.Content {
		size = min(size+s.of(child), aliasesMax+1)
	}
	if node.Alias != nil {
		size = s.of(node.Alias)
		s.added = min(s.added+size, aliasesMax+1)
	}
	s.known[node] = size
	return size
}
