package kustomize

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// remotes knows what the kustomizations of one build name that is not in the repository: where it is mounted, or that it is
// to be fetched first.
//
// Kustomize would run git for a remote directory. It never comes to that: it is shown kustomizations that name the mounted
// directory instead. Remote files it gets from transport, which asks here too.
type remotes struct {
	client *tree.Client
	mounts *mounts
	needs  []protocol.Need
}

// isHTTP tells whether Kustomize would read an entry over HTTP.
func isHTTP(entry string) bool {
	parsed, err := url.Parse(entry)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https")
}

// isGit tells whether Kustomize would clone an entry. Its own parser decides: an origin names the repository that it finds.
func isGit(entry string) bool {
	return (&resource.Origin{}).Append(entry).Repo != ""
}

func (r *remotes) need(need protocol.Need) {
	r.needs = protocol.AddNeed(r.needs, need)
}

// find tells where what a URL stands for is mounted; if it is not, that is a need.
func (r *remotes) find(entry string) (name string, found bool) {
	name, found = r.mounts.fetched(func(url string) bool { return url == entry })
	if !found {
		r.need(protocol.Need{Resource: &protocol.ResourceNeed{URL: entry}})
	}
	return name, found
}

func (r *remotes) stat(name string) (protocol.Kind, error) {
	place, inside := r.mounts.place(name)
	if !inside {
		return protocol.Absent, nil
	}
	return r.client.Stat(place.Root, place.Path)
}

// file reads a remote file, which Kustomize names by the URL as it was parsed. Found is false if it is to be fetched first.
func (r *remotes) file(address *url.URL) (text []byte, found bool, err error) {
	name, found := r.mounts.fetched(func(known string) bool {
		parsed, err := url.Parse(known)
		return err == nil && parsed.String() == address.String()
	})
	if !found {
		r.need(protocol.Need{Resource: &protocol.ResourceNeed{URL: address.String()}})
		return nil, false, nil
	}
	place, _ := r.mounts.place(name)
	text, err = r.client.Read(place.Root, place.Path)
	if err == nil {
		err = checkAliases(address.String(), text, false)
	}
	return text, true, err
}

// local is what Kustomize is shown instead of a remote entry of a kustomization in `from`: the mounted directory, as a
// relative path. What it reads as a file over HTTP stays as it is.
func (r *remotes) local(from, entry string, files bool) (string, error) {
	name, found := r.find(entry)
	if !found {
		return lacking, nil
	}
	kind, err := r.stat(name)
	switch {
	case err != nil:
		return "", err
	case kind == protocol.Absent:
		return "", fmt.Errorf("'%s' does not exist; correct the URL %s", name, entry)
	case kind == protocol.File && files && isHTTP(entry):
		return entry, nil
	}
	return filepath.Rel(from, name)
}

// show is what Kustomize sees of a kustomization: remote directories are the mounted ones.
func (r *remotes) show(from string, text []byte) ([]byte, error) {
	var kustomization types.Kustomization
	if err := kustomization.Unmarshal(text); err != nil {
		// Kustomize says it better.
		return text, nil
	}
	changed := false
	for _, field := range directoryFields(&kustomization) {
		for i, entry := range field.entries {
			remote, err := r.isRemote(from, entry, field.files)
			if err != nil {
				return nil, err
			}
			if !remote {
				continue
			}
			shown, err := r.local(from, entry, field.files)
			if err != nil {
				return nil, err
			}
			if shown != entry {
				field.entries[i], changed = shown, true
			}
		}
	}
	if !changed {
		return text, nil
	}
	return yaml.Marshal(kustomization)
}

// lacking stands for a directory that is to be fetched first. It does not exist, whatever the repository holds: the answer
// to the build is what it needs.
const lacking = "/to-be-fetched"

// field is a list of a kustomization whose entries may be directories.
type field struct {
	entries []string
	// files: the entries may be files as well.
	files bool
}

func directoryFields(kustomization *types.Kustomization) []field {
	return []field{
		{kustomization.Resources, true},
		{kustomization.Bases, true}, //nolint:staticcheck // Old, and everywhere.
		{kustomization.Generators, true},
		{kustomization.Transformers, true},
		{kustomization.Validators, true},
		{kustomization.Components, false},
	}
}

// isRemote tells whether an entry is not in the repository. A file of it may look like github.com/owner/repository.
func (r *remotes) isRemote(from, entry string, files bool) (bool, error) {
	if files && isHTTP(entry) {
		return true, nil
	}
	if !isGit(entry) {
		return false, nil
	}
	if !files {
		return true, nil
	}
	kind, err := r.stat(path.Join(from, entry))
	return kind != protocol.File, err
}
