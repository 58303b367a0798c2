package helm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// loader makes charts of files, as Helm's own does of a directory; the budget of what archives unpack to is one for all
// charts of a render.
type loader struct {
	budget   budget
	warnings []string
}

func newLoader() *loader {
	return &loader{budget: budget{bytes: maxUnpackedBytes, files: maxUnpackedFiles}}
}

var byteOrderMark = []byte{0xEF, 0xBB, 0xBF}

// load asks for a chart of the source, in one question for all its files.
func (r *render) load(place protocol.Place) (*chart.Chart, error) {
	files, err := r.files.All(place.Root, place.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no chart in %q: the directory does not exist", tree.Shown(place))
	}
	if err != nil {
		return nil, fmt.Errorf("the chart in %q: %w", tree.Shown(place), err)
	}
	kept, err := withoutIgnored(files)
	if err != nil {
		return nil, fmt.Errorf("the chart in %q: %w", tree.Shown(place), err)
	}
	return r.loader.directory(kept, tree.Shown(place))
}

// directory makes a chart of the files of a directory.
func (l *loader) directory(files []protocol.FileContent, shown string) (*chart.Chart, error) {
	buffered := make([]*archive.BufferedFile, 0, len(files))
	for _, file := range files {
		buffered = append(buffered, &archive.BufferedFile{Name: file.Path, Data: bytes.TrimPrefix(file.Data, byteOrderMark)})
	}
	loaded, err := l.chart(buffered)
	if err != nil {
		return nil, fmt.Errorf("the chart in %q: %w", shown, err)
	}
	return loaded, nil
}

// chart makes a chart of its files, subcharts included.
func (l *loader) chart(files []*archive.BufferedFile) (*chart.Chart, error) {
	// The order in which a directory is walked: it decides in which order definitions are printed.
	slices.SortFunc(files, func(a, b *archive.BufferedFile) int {
		return slices.Compare(strings.Split(a.Name, "/"), strings.Split(b.Name, "/"))
	})
	var own []*archive.BufferedFile
	var names []string
	subcharts := map[string][]*archive.BufferedFile{}
	for _, file := range files {
		below, inside := strings.CutPrefix(file.Name, "charts/")
		if !inside || path.Ext(file.Name) == ".prov" {
			own = append(own, file)
			continue
		}
		name, _, _ := strings.Cut(below, "/")
		if strings.IndexAny(name, "_.") == 0 {
			continue
		}
		if _, known := subcharts[name]; !known {
			names = append(names, name)
		}
		subcharts[name] = append(subcharts[name], &archive.BufferedFile{Name: below, Data: file.Data})
	}
	loaded, err := chartloader.LoadFiles(own)
	if err != nil {
		return nil, err
	}
	if version := loaded.Metadata.APIVersion; version != chart.APIVersionV1 && version != chart.APIVersionV2 {
		return nil, fmt.Errorf("the chart %q is written for the apiVersion %q; this renderer knows v1 and v2", loaded.Name(), version)
	}
	for _, name := range names {
		subchart, err := l.subchart(name, subcharts[name])
		if err != nil {
			return nil, fmt.Errorf("the subchart charts/%s of %q: %w", name, loaded.Name(), err)
		}
		loaded.AddDependency(subchart)
	}
	return loaded, nil
}

// subchart makes a chart of what stands at one name in charts/; the files' names begin with it.
func (l *loader) subchart(name string, files []*archive.BufferedFile) (*chart.Chart, error) {
	if path.Ext(name) == ".tgz" && files[0].Name == name {
		unpacked, err := l.unpack(name, files[0].Data)
		if err != nil {
			return nil, err
		}
		return l.chart(unpacked)
	}
	var inside []*archive.BufferedFile
	for _, file := range files {
		if _, below, deeper := strings.Cut(file.Name, "/"); deeper {
			inside = append(inside, &archive.BufferedFile{Name: below, Data: file.Data})
		}
	}
	return l.chart(inside)
}

// withoutIgnored leaves out what .helmignore names: files, and directories with all that is in them.
func withoutIgnored(files []protocol.FileContent) ([]protocol.FileContent, error) {
	rules := ignore.Empty()
	for _, file := range files {
		if file.Path != ignore.HelmIgnore {
			continue
		}
		parsed, err := ignore.Parse(bytes.NewReader(file.Data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ignore.HelmIgnore, err)
		}
		rules = parsed
	}
	rules.AddDefaults()
	directories := map[string]bool{}
	var ignored func(name string) bool
	ignored = func(name string) bool {
		if name == "." {
			return false
		}
		known, found := directories[name]
		if !found {
			known = ignored(path.Dir(name)) || rules.Ignore(name, entry{name: name, directory: true})
			directories[name] = known
		}
		return known
	}
	var kept []protocol.FileContent
	for _, file := range files {
		if !ignored(path.Dir(file.Path)) && !rules.Ignore(file.Path, entry{name: file.Path}) {
			kept = append(kept, file)
		}
	}
	return kept, nil
}

// entry is what the rules look at.
type entry struct {
	name      string
	directory bool
}

func (e entry) Name() string       { return path.Base(e.name) }
func (e entry) Size() int64        { return 0 }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) IsDir() bool        { return e.directory }
func (e entry) Sys() any           { return nil }
func (e entry) Mode() fs.FileMode {
	if e.directory {
		return fs.ModeDir
	}
	return 0
}
