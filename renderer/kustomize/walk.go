package kustomize

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"trueup.dev/renderer/protocol"
)

// kustomizationsMax is how many kustomizations one build may read, a base that is reached twice counted twice. The largest
// repositories have some hundreds; where bases double at each level, it is passed long before a build would fill the memory.
const kustomizationsMax = 10_000

// depthMax is how deep bases may be nested. Nobody nests ten; a symbolic link that leads back to its own directory would
// nest for ever, each time under another name.
const depthMax = 64

// walk looks through the kustomizations that a build will read, for all that is remote in them at once: a build itself stops
// at the first thing that it lacks.
//
// It judges nothing. What it cannot read it leaves to Kustomize, which reads the same and tells what is wrong.
type walk struct {
	files   *fileSystem
	remotes *remotes
	// charts is nil while charts are not to be inflated.
	charts *charts
	// visited is how many kustomizations are read for each directory, itself and its bases; for one that is being looked
	// through, none yet.
	visited map[string]int
}

// overlay looks through the kustomization that is built.
func (w *walk) overlay(directory string) error {
	count, err := w.directory(directory, 0)
	if err == nil && count > kustomizationsMax {
		return fmt.Errorf("more than %d kustomizations are read for '%s': look for bases that are reached again and again", kustomizationsMax, directory)
	}
	return err
}

func (w *walk) directory(directory string, depth int) (count int, err error) {
	if count, visited := w.visited[directory]; visited {
		return count, nil
	}
	w.visited[directory] = 0
	if depth > depthMax {
		return 0, fmt.Errorf("bases are nested deeper than %d, in '%s'; look for a symbolic link that leads back to a directory above itself",
			depthMax, directory)
	}
	kustomization, err := w.read(directory)
	if err != nil || kustomization == nil {
		return 0, err
	}
	count = 1
	for _, field := range directoryFields(kustomization) {
		for _, entry := range field.entries {
			below, err := w.entry(directory, entry, field.files, depth)
			if err != nil {
				return 0, err
			}
			// Past the limit nothing is added, so that it cannot overflow.
			if count <= kustomizationsMax {
				count += below
			}
		}
	}
	w.visited[directory] = count
	return count, w.filesOf(directory, kustomization)
}

// filesOf looks for what a kustomization names beside directories: files and charts.
func (w *walk) filesOf(directory string, kustomization *types.Kustomization) error {
	for _, name := range fileFields(kustomization) {
		if isHTTP(name) {
			w.remotes.find(name)
		}
	}
	if w.charts == nil {
		return nil
	}
	for _, chart := range kustomization.HelmCharts {
		var globals types.HelmGlobals
		if kustomization.HelmGlobals != nil {
			globals = *kustomization.HelmGlobals
		}
		if _, _, err := w.charts.find(directory, globals, chart); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) read(directory string) (*types.Kustomization, error) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		full := path.Join(directory, name)
		if kind, err := w.files.kind(full); err != nil || kind != protocol.File {
			if err != nil {
				return nil, err
			}
			continue
		}
		text, err := w.files.raw(full)
		if err != nil {
			return nil, err
		}
		var kustomization types.Kustomization
		if err := kustomization.Unmarshal(text); err != nil {
			return nil, nil
		}
		kustomization.FixKustomization()
		return &kustomization, nil
	}
	return nil, nil
}

func (w *walk) entry(from, entry string, files bool, depth int) (count int, err error) {
	if entry == "" {
		return 0, nil
	}
	remote, err := w.remotes.isRemote(from, entry, files)
	if err != nil {
		return 0, err
	}
	if remote {
		if entry, err = w.remotes.local(from, entry, files); err != nil || entry == lacking {
			return 0, err
		}
	}
	// An inline generator or transformer is no path, nor is a URL that stayed one.
	if path.IsAbs(entry) || strings.ContainsAny(entry, "\n\x00") || isHTTP(entry) {
		return 0, nil
	}
	below := path.Join(from, entry)
	if kind, err := w.files.kind(below); err != nil || kind != protocol.Directory {
		return 0, err
	}
	return w.directory(below, depth+1)
}

// fileFields are the names of files in a kustomization that may be URLs.
func fileFields(kustomization *types.Kustomization) []string {
	names := slices.Concat(kustomization.Crds, kustomization.Configurations)
	names = append(names, kustomization.OpenAPI["path"])
	for _, patch := range slices.Concat(kustomization.Patches, kustomization.PatchesJson6902) { //nolint:staticcheck // Old, and everywhere.
		names = append(names, patch.Path)
	}
	for _, patch := range kustomization.PatchesStrategicMerge { //nolint:staticcheck // Old, and everywhere.
		names = append(names, string(patch))
	}
	for _, replacement := range kustomization.Replacements {
		names = append(names, replacement.Path)
	}
	for _, generator := range kustomization.ConfigMapGenerator {
		names = append(names, sources(generator.KvPairSources)...)
	}
	for _, generator := range kustomization.SecretGenerator {
		names = append(names, sources(generator.KvPairSources)...)
	}
	return names
}

// sources are the files of a generator, without the keys that may stand before them.
func sources(pairs types.KvPairSources) []string {
	names := slices.Clone(pairs.EnvSources)
	for _, source := range pairs.FileSources {
		if _, name, keyed := strings.Cut(source, "="); keyed && strings.Count(source, "=") == 1 {
			source = name
		}
		names = append(names, source)
	}
	return names
}
