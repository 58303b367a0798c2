package kustomize

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// errReadOnly answers whatever would change a tree.
var errReadOnly = errors.New("the trees of a render cannot be written to")

// fileSystem is all that Kustomize ever sees: the mounted trees, read when they are asked for, and the one kustomization
// that carries the Application's edits. Nothing of it is on a disk.
//
// Each kustomization passes through `show` on its way, which is where remote directories become mounted ones.
type fileSystem struct {
	client *tree.Client
	mounts *mounts
	// home is where relative names begin: the directory that is built.
	home string
	// edited are the kustomizations of home as the edits left them, by absolute name.
	edited map[string][]byte
	show   func(directory string, text []byte) ([]byte, error)
	// failure is the first file that could not be shown. Kustomize takes a kustomization that it cannot read for none.
	failure error
}

var _ filesys.FileSystem = (*fileSystem)(nil)

func (f *fileSystem) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(f.home, name)
}

func (f *fileSystem) kind(name string) (protocol.Kind, error) {
	place, inside := f.mounts.place(f.absolute(name))
	if !inside {
		return protocol.Absent, nil
	}
	return f.client.Stat(place.Root, place.Path)
}

func outside(name string) error {
	return fmt.Errorf("'%s' leads out of the repository; only its own files can be read", name)
}

func isKustomization(name string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(name))
}

// CleanedAbs splits a name into its directory and, if it is a file, the file's name.
func (f *fileSystem) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	absolute := f.absolute(name)
	if _, inside := f.mounts.place(absolute); !inside {
		return "", "", outside(name)
	}
	kind, err := f.kind(absolute)
	switch {
	case err != nil:
		return "", "", err
	case kind == protocol.Directory:
		return filesys.ConfirmedDir(absolute), "", nil
	case kind == protocol.File:
		return filesys.ConfirmedDir(path.Dir(absolute)), path.Base(absolute), nil
	default:
		return "", "", fmt.Errorf("'%s' does not exist", absolute)
	}
}

// Exists tells whether there is anything of this name.
func (f *fileSystem) Exists(name string) bool {
	kind, err := f.kind(name)
	return err == nil && kind != protocol.Absent
}

// IsDir tells whether there is a directory of this name.
func (f *fileSystem) IsDir(name string) bool {
	kind, err := f.kind(name)
	return err == nil && kind == protocol.Directory
}

// ReadDir lists a directory.
func (f *fileSystem) ReadDir(name string) ([]string, error) {
	place, inside := f.mounts.place(f.absolute(name))
	if !inside {
		return nil, outside(name)
	}
	entries, err := f.client.List(place.Root, place.Path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name
	}
	return names, nil
}

// ReadFile reads a file; a kustomization as Kustomize is to see it.
func (f *fileSystem) ReadFile(name string) ([]byte, error) {
	absolute := f.absolute(name)
	text, err := f.raw(absolute)
	if err != nil {
		return nil, err
	}
	if err := checkAliases(absolute, text, isKustomization(absolute)); err != nil {
		return nil, f.fail(err)
	}
	if !isKustomization(absolute) {
		return text, nil
	}
	if text, err = f.show(path.Dir(absolute), text); err != nil {
		return nil, f.fail(err)
	}
	return text, nil
}

func (f *fileSystem) fail(err error) error {
	if f.failure == nil {
		f.failure = err
	}
	return err
}

func (f *fileSystem) raw(absolute string) ([]byte, error) {
	if text, found := f.edited[absolute]; found {
		return text, nil
	}
	place, inside := f.mounts.place(absolute)
	if !inside {
		return nil, outside(absolute)
	}
	return f.client.Read(place.Root, place.Path)
}

// WriteFile keeps what the edits make of the kustomization that is built, as JSON on one line: each edit looks through all
// lines for comments that nobody here will read, which takes longer than the build.
func (f *fileSystem) WriteFile(name string, text []byte) error {
	absolute := f.absolute(name)
	if path.Dir(absolute) != f.home || !isKustomization(absolute) {
		return errReadOnly
	}
	line, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	f.edited[absolute] = line
	return nil
}

// Glob finds what matches a pattern, in the form that the pattern has.
func (f *fileSystem) Glob(pattern string) ([]string, error) {
	found, err := f.glob(pattern)
	if err != nil || filesys.IsHiddenFilePath(pattern) {
		return found, err
	}
	return filesys.RemoveHiddenFiles(found), nil
}

func (f *fileSystem) glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%q is not a pattern of files: %w", pattern, err)
	}
	if path.IsAbs(pattern) {
		return nil, nil
	}
	if !strings.ContainsAny(pattern, `*?[\`) {
		if f.Exists(pattern) {
			return []string{pattern}, nil
		}
		return nil, nil
	}
	directory, last := path.Split(pattern)
	parents := []string{directory}
	if directory != "" {
		var err error
		if parents, err = f.glob(strings.TrimSuffix(directory, "/")); err != nil {
			return nil, err
		}
	}
	var found []string
	for _, parent := range parents {
		names, err := f.ReadDir(parent)
		if err != nil {
			// A file, whose name matched as a directory's would.
			continue
		}
		slices.Sort(names)
		for _, name := range names {
			if matches, _ := path.Match(last, name); matches {
				found = append(found, path.Join(parent, name))
			}
		}
	}
	return found, nil
}

// Create refuses.
func (f *fileSystem) Create(string) (filesys.File, error) { return nil, errReadOnly }

// Mkdir refuses.
func (f *fileSystem) Mkdir(string) error { return errReadOnly }

// MkdirAll refuses.
func (f *fileSystem) MkdirAll(string) error { return errReadOnly }

// RemoveAll refuses.
func (f *fileSystem) RemoveAll(string) error { return errReadOnly }

// Open refuses: a build reads whole files.
func (f *fileSystem) Open(string) (filesys.File, error) { return nil, errReadOnly }

// Walk refuses: a build never looks for files.
func (f *fileSystem) Walk(string, filepath.WalkFunc) error { return errReadOnly }
