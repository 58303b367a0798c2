// Package kustomize builds overlays as `kustomize build` does, by Kustomize's own library.
//
// An Application's options are put in by Kustomize's own `edit` commands, on a copy in memory. What is remote is found
// before it is missed, answered as needs, and mounted beside the repository once it was fetched: a build runs no program,
// opens no connection, and neither reads nor writes the disk. Render is the entry point.
package kustomize

import (
	"errors"
	"fmt"
	"path"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/openapi/kubernetesapi"

	"trueup.dev/renderer/limits"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// building is held by the one build that runs: Kustomize keeps the schema of a build in a global.
var building sync.Mutex

// Render builds an overlay. The error is a *protocol.NeedsError if something is to be fetched first.
func Render(client *tree.Client, request *protocol.Kustomize) (*protocol.Done, error) {
	building.Lock()
	defer building.Unlock()
	if err := seal(); err != nil {
		return nil, err
	}
	mounts, err := newMounts(request.Root, request.Fetched)
	if err != nil {
		return nil, err
	}
	remotes := &remotes{client: client, mounts: mounts}
	build := build{client: client, request: request, mounts: mounts, remotes: remotes}
	done, err := build.run()
	switch {
	case client.Failure() != nil:
		return nil, client.Failure()
	case len(remotes.needs) > 0:
		// Whatever else went wrong may well be for lack of these.
		return nil, &protocol.NeedsError{Needs: remotes.needs}
	case err != nil:
		return nil, errors.New(mounts.readable(err.Error()))
	}
	for i, warning := range done.Warnings {
		done.Warnings[i] = mounts.readable(warning)
	}
	return done, nil
}

// build is one build.
type build struct {
	client  *tree.Client
	request *protocol.Kustomize
	mounts  *mounts
	remotes *remotes
	charts  *charts
}

func (b *build) run() (*protocol.Done, error) {
	flags, err := parseBuildOptions(b.request.BuildOptions)
	if err != nil {
		return nil, err
	}
	options, err := parseOptions(b.request.Options)
	if err != nil {
		return nil, err
	}
	files := &fileSystem{
		client: b.client, mounts: b.mounts, home: path.Join(b.mounts.own(), path.Clean("/"+b.request.Path)),
		edited: map[string][]byte{}, show: b.remotes.show,
	}
	if !files.IsDir(files.home) {
		return nil, fmt.Errorf("there is no directory '%s' in the repository; correct the source's path", files.home)
	}
	if flags.helm {
		b.charts = b.newCharts(flags, options)
	}
	done, err := b.overlay(files, flags, options)
	if files.failure != nil {
		return nil, files.failure
	}
	return done, err
}

func (b *build) overlay(files *fileSystem, flags buildOptions, options options) (*protocol.Done, error) {
	edits := &edits{files: files, remotes: b.remotes, options: options}
	if err := edits.apply(); err != nil {
		return nil, err
	}
	walk := &walk{files: files, remotes: b.remotes, charts: b.charts, visited: map[string]int{}}
	if err := walk.overlay(files.home); err != nil || len(b.remotes.needs) > 0 {
		return nil, err
	}
	text, err := b.kustomize(files, flags)
	if err != nil {
		return nil, err
	}
	if err := limits.CheckOutput(len(text)); err != nil {
		return nil, fmt.Errorf("the overlay '%s': %w", files.home, err)
	}
	done := &protocol.Done{
		Documents: []protocol.Document{{File: path.Join(b.request.Path, "kustomization.yaml"), Text: string(text)}},
		Warnings:  edits.warnings,
	}
	if b.charts != nil {
		done.Warnings = append(done.Warnings, b.charts.warnings...)
		done.Unstable = b.charts.unstable
	}
	return done, nil
}

func (b *build) newCharts(flags buildOptions, options options) *charts {
	charts := &charts{
		client: b.client, mounts: b.mounts, remotes: b.remotes, fetched: b.request.Fetched, releaseName: b.request.ReleaseName,
		kubeVersion: b.request.KubeVersion, apiVersions: b.request.APIVersions,
	}
	if options.KubeVersion != "" {
		charts.kubeVersion = options.KubeVersion
	}
	if len(options.APIVersions) > 0 {
		charts.apiVersions = options.APIVersions
	}
	if flags.helmKubeVersion != "" {
		charts.kubeVersion = flags.helmKubeVersion
	}
	if len(flags.helmAPIVersions) > 0 {
		charts.apiVersions = flags.helmAPIVersions
	}
	return charts
}

// kustomize runs the library. It panics on some input, such as a schema that is none: that is this build's error.
func (b *build) kustomize(files *fileSystem, flags buildOptions) (text []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			openapi.ResetOpenAPI()
			err = fmt.Errorf("Kustomize broke off in '%s', at input that it does not expect: %v; see whether `kustomize build` does the same", files.home, reason)
		}
	}()
	err = withCharts(b.charts, func() error {
		return remoteFiles.during(b.remotes.file, func() error {
			text, err = b.kustomizeWithin(files, flags)
			return err
		})
	})
	return text, err
}

func (b *build) kustomizeWithin(files *fileSystem, flags buildOptions) ([]byte, error) {
	// A schema of its own is the only thing that a build leaves behind; the next one would be read by it.
	defer func() {
		if openapi.GetSchemaVersion() != kubernetesapi.DefaultOpenAPI {
			openapi.ResetOpenAPI()
		}
	}()
	objects, err := krusty.MakeKustomizer(&krusty.Options{
		Reorder:           flags.reorder,
		AddManagedbyLabel: flags.managedBy,
		LoadRestrictions:  flags.restrictions,
		PluginConfig:      types.DisabledPluginConfig(),
	}).Run(files, files.home)
	if err != nil {
		return nil, err
	}
	if err := b.mounts.trueOrigins(objects); err != nil {
		return nil, fmt.Errorf("the origin of an object: %w", err)
	}
	return objects.AsYaml()
}
