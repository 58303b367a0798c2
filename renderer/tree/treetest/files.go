// Package treetest answers a render's questions from files in memory, and remembers them, for tests.
package treetest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
)

// Files are the trees by root, each with its files by path.
type Files map[string]map[string]string

// Controller answers as the controller does.
type Controller struct {
	Files       Files
	KubeVersion string
	APIVersions []string
	// Asked are the questions so far, such as "read charts/app/values.yaml" and "hasApiVersion apps/v1".
	Asked []string
}

// Ask answers a question.
func (c *Controller) Ask(ask protocol.Ask) (protocol.Answer, error) {
	switch {
	case ask.Stat != nil:
		c.note("stat", ask.Stat)
		return protocol.Answer{Kind: c.kind(*ask.Stat)}, nil
	case ask.List != nil:
		c.note("list", ask.List)
		return c.list(*ask.List), nil
	case ask.Read != nil:
		c.note("read", ask.Read)
		text, found := c.Files[ask.Read.Root][ask.Read.Path]
		if !found {
			return protocol.Answer{Error: fmt.Sprintf("there is no file %q", ask.Read.Path)}, nil
		}
		return protocol.Answer{Data: []byte(text)}, nil
	case ask.Tree != nil:
		c.note("tree", ask.Tree)
		return c.tree(*ask.Tree), nil
	case ask.KubeVersion != nil:
		c.Asked = append(c.Asked, "kubeVersion")
		return protocol.Answer{Text: c.KubeVersion}, nil
	case ask.HasAPIVersion != nil:
		c.Asked = append(c.Asked, "hasApiVersion "+ask.HasAPIVersion.Name)
		return protocol.Answer{Yes: new(slices.Contains(c.APIVersions, ask.HasAPIVersion.Name))}, nil
	case ask.APIVersions != nil:
		c.Asked = append(c.Asked, "apiVersions")
		return protocol.Answer{Names: append([]string{}, c.APIVersions...)}, nil
	default:
		return protocol.Answer{Error: "a question without content"}, nil
	}
}

func (c *Controller) note(question string, place *protocol.Place) {
	words := []string{question}
	for _, word := range []string{place.Root, place.Path} {
		if word != "" {
			words = append(words, word)
		}
	}
	c.Asked = append(c.Asked, strings.Join(words, " "))
}

func (c *Controller) kind(place protocol.Place) protocol.Kind {
	if _, found := c.Files[place.Root][place.Path]; found {
		return protocol.File
	}
	for name := range c.Files[place.Root] {
		if place.Path == "" || strings.HasPrefix(name, place.Path+"/") {
			return protocol.Directory
		}
	}
	return protocol.Absent
}

func (c *Controller) list(place protocol.Place) protocol.Answer {
	kinds := map[string]protocol.Kind{}
	for _, file := range c.tree(place).Files {
		first, _, deeper := strings.Cut(file.Path, "/")
		kinds[first] = protocol.File
		if deeper {
			kinds[first] = protocol.Directory
		}
	}
	answer := protocol.Answer{Entries: []protocol.Entry{}}
	for name, kind := range kinds {
		answer.Entries = append(answer.Entries, protocol.Entry{Name: name, Kind: kind})
	}
	slices.SortFunc(answer.Entries, func(a, b protocol.Entry) int { return strings.Compare(a.Name, b.Name) })
	return answer
}

func (c *Controller) tree(place protocol.Place) protocol.Answer {
	answer := protocol.Answer{Files: []protocol.FileContent{}}
	for name, text := range c.Files[place.Root] {
		below, inside := name, true
		if place.Path != "" {
			below, inside = strings.CutPrefix(name, place.Path+"/")
		}
		if inside {
			answer.Files = append(answer.Files, protocol.FileContent{Path: below, Data: []byte(text)})
		}
	}
	slices.SortFunc(answer.Files, func(a, b protocol.FileContent) int { return strings.Compare(a.Path, b.Path) })
	return answer
}

// Parse reads files written one after the other, each below a line `-- NAME --`; before them stands what they are about.
func Parse(text string) (comment string, files map[string]string) {
	files = map[string]string{}
	name := ""
	for line := range strings.Lines(text) {
		if inner, found := strings.CutPrefix(strings.TrimSpace(line), "-- "); found && strings.HasSuffix(inner, " --") {
			name = strings.TrimSuffix(inner, " --")
			files[name] = ""
		} else if name == "" {
			comment += line
		} else {
			files[name] += line
		}
	}
	return comment, files
}

// Save writes files below a directory.
func Save(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		target := filepath.Join(dir, filepath.FromSlash(path.Clean(name)))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
