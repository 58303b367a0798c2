package jsonnet

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/google/go-jsonnet"

	"trueup.dev/renderer/tree"
)

// importer finds what a program imports: beside the importing file, then in the libraries, the last of them first, as
// go-jsonnet's own importer does. Unlike that, it knows no paths but those of one tree.
type importer struct {
	client    *tree.Client
	root      string
	libraries []string
	// contents are the files read so far: an importer owes the same content for the same file.
	contents map[string]jsonnet.Contents
}

func newImporter(client *tree.Client, root string, libraries []string) *importer {
	libraries = slices.Clone(libraries)
	slices.Reverse(libraries)
	return &importer{client: client, root: root, libraries: libraries, contents: map[string]jsonnet.Contents{}}
}

// Import reads a file for another one; from is empty for the program itself and for code outside of any file.
func (i *importer) Import(from, name string) (jsonnet.Contents, string, error) {
	if path.IsAbs(name) {
		return jsonnet.Contents{}, "", fmt.Errorf("import of %q: absolute paths are not read; name it relative to the file or to a library", name)
	}
	directories := append([]string{path.Dir(from)}, i.libraries...)
	var outside bool
	for _, directory := range directories {
		found := path.Join(strings.TrimPrefix(path.Clean("/"+directory), "/"), name)
		if found == ".." || strings.HasPrefix(found, "../") {
			outside = true
			continue
		}
		contents, err := i.read(found)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return contents, found, err
	}
	places := fmt.Sprintf("there is no %q beside the importing file", name)
	if len(i.libraries) > 0 {
		places += " or in the libraries " + strings.Join(i.libraries, ", ")
	}
	if outside {
		places += "; paths that lead out of the repository are not read"
	}
	return jsonnet.Contents{}, "", errors.New(places)
}

func (i *importer) read(name string) (jsonnet.Contents, error) {
	if contents, known := i.contents[name]; known {
		return contents, nil
	}
	text, err := i.client.Read(i.root, name)
	if err != nil {
		return jsonnet.Contents{}, err
	}
	contents := jsonnet.MakeContentsRaw(text)
	i.contents[name] = contents
	return contents, nil
}
