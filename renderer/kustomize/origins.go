package kustomize

import (
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	originAnnotation          = "config.kubernetes.io/origin"
	transformationsAnnotation = "alpha.config.kubernetes.io/transformations"
)

// trueOrigins writes into the annotations that `buildMetadata` asks for where a mounted directory was fetched from.
func (m *mounts) trueOrigins(objects resmap.ResMap) error {
	for _, object := range objects.Resources() {
		annotations := object.GetAnnotations(originAnnotation, transformationsAnnotation)
		if text := annotations[originAnnotation]; strings.Contains(text, m.token) {
			var origin resource.Origin
			if err := yaml.Unmarshal([]byte(text), &origin); err != nil {
				return err
			}
			m.trueOrigin(&origin)
			text, err := origin.String()
			if err != nil {
				return err
			}
			if err := object.PipeE(yaml.SetAnnotation(originAnnotation, text)); err != nil {
				return err
			}
		}
		if text := annotations[transformationsAnnotation]; strings.Contains(text, m.token) {
			var transformations resource.Transformations
			if err := yaml.Unmarshal([]byte(text), &transformations); err != nil {
				return err
			}
			for _, origin := range transformations {
				m.trueOrigin(origin)
			}
			text, err := transformations.String()
			if err != nil {
				return err
			}
			if err := object.PipeE(yaml.SetAnnotation(transformationsAnnotation, text)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mounts) trueOrigin(origin *resource.Origin) {
	for _, field := range []*string{&origin.Path, &origin.ConfiguredIn} {
		url, inside, found := m.remote(*field)
		if !found {
			continue
		}
		*field = inside
		fetched := (&resource.Origin{}).Append(url)
		origin.Repo, origin.Ref = fetched.Repo, fetched.Ref
		// Kustomize has no path for the root of a repository, and calls it so.
		if fetched.Path == notCloned {
			*field = path.Join(notCloned, inside)
		}
	}
}

const notCloned = "notCloned"
