package kustomize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// options are what an Application says about Kustomize, as it stands there.
type options struct {
	NamePrefix              string            `json:"namePrefix"`
	NameSuffix              string            `json:"nameSuffix"`
	Namespace               string            `json:"namespace"`
	Images                  []string          `json:"images"`
	Replicas                []replica         `json:"replicas"`
	CommonLabels            map[string]string `json:"commonLabels"`
	ForceCommonLabels       bool              `json:"forceCommonLabels"`
	LabelWithoutSelector    bool              `json:"labelWithoutSelector"`
	LabelIncludeTemplates   bool              `json:"labelIncludeTemplates"`
	CommonAnnotations       map[string]string `json:"commonAnnotations"`
	ForceCommonAnnotations  bool              `json:"forceCommonAnnotations"`
	Patches                 []patch           `json:"patches"`
	Components              []string          `json:"components"`
	IgnoreMissingComponents bool              `json:"ignoreMissingComponents"`
	KubeVersion             string            `json:"kubeVersion"`
	APIVersions             []string          `json:"apiVersions"`
}

// replica sets how many Pods a Deployment or StatefulSet has.
type replica struct {
	Name  string `json:"name"`
	Count count  `json:"count"`
}

// count is a number, or a string that holds one.
type count int64

// UnmarshalJSON reads either.
func (c *count) UnmarshalJSON(text []byte) error {
	text = bytes.TrimSuffix(bytes.TrimPrefix(text, []byte(`"`)), []byte(`"`))
	number, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("a count of replicas is %q, which is no whole number", text)
	}
	*c = count(number)
	return nil
}

// patch is one entry for the kustomization's `patches`.
type patch struct {
	Path    string          `json:"path,omitempty"`
	Patch   string          `json:"patch,omitempty"`
	Target  *target         `json:"target,omitempty"`
	Options map[string]bool `json:"options,omitempty"`
}

// target selects what a patch changes.
type target struct {
	Group              string `json:"group,omitempty"`
	Version            string `json:"version,omitempty"`
	Kind               string `json:"kind,omitempty"`
	Name               string `json:"name,omitempty"`
	Namespace          string `json:"namespace,omitempty"`
	AnnotationSelector string `json:"annotationSelector,omitempty"`
	LabelSelector      string `json:"labelSelector,omitempty"`
}

func parseOptions(text json.RawMessage) (options, error) {
	var parsed options
	if len(text) == 0 {
		return parsed, nil
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return parsed, fmt.Errorf("the Application's kustomize options: %w", err)
	}
	return parsed, nil
}
