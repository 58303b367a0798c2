package helm

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"

	"trueup.dev/renderer/protocol"
)

// fileScheme begins the repository of a dependency that stands in the same source.
const fileScheme = "file://"

// complete adds the dependencies that Chart.yaml names and charts/ lacks, as `helm dependency build` would. What is disabled
// is not looked for. Like Helm it looks at the chart itself only: what its subcharts lack stays missing, with a warning.
func (r *render) complete(loaded *chart.Chart, values map[string]any) error {
	locked := r.lockedVersions(loaded)
	var needs []protocol.Need
	var added []*chart.Chart
	for index, dependency := range loaded.Metadata.Dependencies {
		if has(loaded, dependency.Name) || r.isDisabled(loaded, dependency, values) {
			continue
		}
		found, err := r.dependency(loaded, dependency, locked[index])
		var lacking *protocol.NeedsError
		if errors.As(err, &lacking) {
			for _, need := range lacking.Needs {
				needs = protocol.AddNeed(needs, need)
			}
			continue
		}
		if err != nil {
			return err
		}
		// Two aliases of one chart are one chart in charts/.
		if !slices.ContainsFunc(added, func(other *chart.Chart) bool { return same(other, found) }) {
			added = append(added, found)
		}
	}
	if len(needs) > 0 {
		return &protocol.NeedsError{Needs: needs}
	}
	loaded.AddDependency(added...)
	r.warnOfIncomplete(loaded)
	return nil
}

// dependency finds one that is not in charts/.
func (r *render) dependency(loaded *chart.Chart, wanted *chart.Dependency, version string) (*chart.Chart, error) {
	if wanted.Repository == "" {
		return nil, fmt.Errorf("the chart %q lacks its dependency %q: Chart.yaml names no repository for it, and it is not in charts/; add one of the two",
			loaded.Name(), wanted.Name)
	}
	found, err := r.find(wanted, version)
	if err != nil {
		return nil, err
	}
	if found.Name() != wanted.Name || !chartutil.IsCompatibleRange(wanted.Version, found.Metadata.Version) {
		return nil, fmt.Errorf("the chart %q depends on %q at version %q, and %q holds %q at version %q: correct Chart.yaml",
			loaded.Name(), wanted.Name, wanted.Version, wanted.Repository, found.Name(), found.Metadata.Version)
	}
	return found, nil
}

func (r *render) find(wanted *chart.Dependency, version string) (*chart.Chart, error) {
	if local, inside := strings.CutPrefix(wanted.Repository, fileScheme); inside {
		if path.IsAbs(local) {
			return nil, fmt.Errorf("the dependency %q is in %q: an absolute path leads out of the source; make it relative to the chart", wanted.Name, wanted.Repository)
		}
		return r.load(protocol.Place{Root: r.job.Chart.Root, Path: path.Join(r.job.Chart.Path, local)})
	}
	need := protocol.Need{Chart: &protocol.ChartNeed{Repository: wanted.Repository, Name: wanted.Name, Version: version}}
	place, found := protocol.Find(r.job.Fetched, need)
	if !found {
		return nil, &protocol.NeedsError{Needs: []protocol.Need{need}}
	}
	files, err := r.files.All(place.Root, place.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the fetched chart %q of %q is empty", wanted.Name, wanted.Repository)
	}
	if err != nil {
		return nil, err
	}
	// A packaged chart is as its .helmignore has left it.
	return r.loader.directory(files, wanted.Name)
}

// lockedVersions are the versions to fetch, one for each dependency: those of the lock file, if it fits Chart.yaml.
func (r *render) lockedVersions(loaded *chart.Chart) []string {
	wanted := loaded.Metadata.Dependencies
	versions := make([]string, len(wanted))
	for index, dependency := range wanted {
		versions[index] = dependency.Version
	}
	if loaded.Lock == nil || len(wanted) == 0 {
		return versions
	}
	locked := make([]string, len(wanted))
	fits := len(loaded.Lock.Dependencies) == len(wanted)
	for index := 0; fits && index < len(wanted); index++ {
		lock := loaded.Lock.Dependencies[index]
		fits = lock != nil && lock.Name == wanted[index].Name && lock.Repository == wanted[index].Repository &&
			chartutil.IsCompatibleRange(wanted[index].Version, lock.Version)
		if fits {
			locked[index] = lock.Version
		}
	}
	if !fits {
		r.warn("the lock file of the chart %q does not fit its Chart.yaml and is left out of account: run `helm dependency update`", loaded.Name())
		return versions
	}
	return locked
}

// isDisabled tells whether a dependency is certainly switched off by tags and conditions: the chart itself decides about
// it, not what the dependency's own values say.
func (r *render) isDisabled(loaded *chart.Chart, dependency *chart.Dependency, values map[string]any) bool {
	all, err := commonutil.CoalesceValues(loaded, values)
	if err != nil {
		return false
	}
	for condition := range strings.SplitSeq(strings.TrimSpace(dependency.Condition), ",") {
		if condition == "" {
			continue
		}
		value, err := all.PathValue(condition)
		if err != nil {
			// The dependency's own values may have it.
			return false
		}
		if enabled, isBool := value.(bool); isBool {
			return !enabled
		}
	}
	return areTagsOff(dependency, all)
}

// areTagsOff tells whether some tag of a dependency is off and none is on.
func areTagsOff(dependency *chart.Dependency, values common.Values) bool {
	tags, err := values.Table("tags")
	if err != nil {
		return false
	}
	off := false
	for _, tag := range dependency.Tags {
		switch tags[tag] {
		case true:
			return false
		case false:
			off = true
		}
	}
	return off
}

// warnOfIncomplete names the subcharts whose own dependencies are missing.
func (r *render) warnOfIncomplete(loaded *chart.Chart) {
	for _, subchart := range loaded.Dependencies() {
		for _, dependency := range subchart.Metadata.Dependencies {
			// One with a condition may well be left out on purpose.
			if !has(subchart, dependency.Name) && dependency.Condition == "" && len(dependency.Tags) == 0 {
				r.warn("the subchart %q lacks its own dependency %q, which Helm leaves out: put it into the subchart's charts/", subchart.Name(), dependency.Name)
			}
		}
		r.warnOfIncomplete(subchart)
	}
}

func has(loaded *chart.Chart, name string) bool {
	return slices.ContainsFunc(loaded.Dependencies(), func(other *chart.Chart) bool { return other.Name() == name })
}

func same(a, b *chart.Chart) bool {
	return a.Name() == b.Name() && a.Metadata.Version == b.Metadata.Version
}
