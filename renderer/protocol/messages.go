// Package protocol holds what the controller and a worker say to each other: frames of JSON over a pair of pipes or one
// connection of a socket.
//
// The worker begins with Hello. Then it is asked for one render at a time, asks in turn for whatever the render reads, and
// ends it with Done, Needs or Failed. Fields that one side does not know are ignored. Line is the entry point.
package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Version is the number of the protocol. The controller refuses another one.
const Version = 1

// Hello is a worker's first message.
type Hello struct {
	Protocol int `json:"protocol"`
	// Build tells two builds of the worker apart.
	Build     string `json:"build"`
	Helm      string `json:"helm"`
	Kustomize string `json:"kustomize"`
	Jsonnet   string `json:"jsonnet"`
}

// Outgoing is a message of the worker: exactly one field is set.
type Outgoing struct {
	Hello  *Hello    `json:"hello,omitempty"`
	Pong   *struct{} `json:"pong,omitempty"`
	Ask    *Ask      `json:"ask,omitempty"`
	Done   *Done     `json:"done,omitempty"`
	Needs  []Need    `json:"needs,omitempty"`
	Failed *Failed   `json:"failed,omitempty"`
}

// Incoming is a message of the controller: one field is set, or none that this worker knows.
type Incoming struct {
	Ping   *struct{} `json:"ping"`
	Render *Render   `json:"render"`
	Answer *Answer   `json:"answer"`
}

// Render asks for a render with one of the tools.
type Render struct {
	Helm      *Helm      `json:"helm"`
	Kustomize *Kustomize `json:"kustomize"`
	Jsonnet   *Jsonnet   `json:"jsonnet"`
}

// Place is a path in one of the trees that the controller holds: "" is the source's own, "$name" that of another source,
// "need:0" what was fetched.
type Place struct {
	Root string `json:"root"`
	Path string `json:"path"`
}

// Helm is a chart to render.
type Helm struct {
	Chart       Place  `json:"chart"`
	ReleaseName string `json:"releaseName"`
	Namespace   string `json:"namespace"`
	// Values are documents of YAML, a later one wins.
	Values []NamedText `json:"values"`
	Set    []Parameter `json:"set"`
	// SetFile are the values whose text comes from a file.
	SetFile              []NamedText `json:"setFile"`
	IncludeCRDs          bool        `json:"includeCrds"`
	SkipTests            bool        `json:"skipTests"`
	SkipSchemaValidation bool        `json:"skipSchemaValidation"`
	// KubeVersion and APIVersions stand for the cluster's; while they are empty, the cluster is asked for.
	KubeVersion string    `json:"kubeVersion"`
	APIVersions []string  `json:"apiVersions"`
	Fetched     []Fetched `json:"fetched"`
}

// NamedText is a text and what it is called.
type NamedText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Parameter is one value of a chart, as `--set` or `--set-string` take it.
type Parameter struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	ForceString bool   `json:"forceString"`
}

// Kustomize is an overlay to build.
type Kustomize struct {
	Root string `json:"root"`
	Path string `json:"path"`
	// Options are the Application's, as they stand there.
	Options      json.RawMessage `json:"options"`
	BuildOptions []string        `json:"buildOptions"`
	Namespace    string          `json:"namespace"`
	KubeVersion  string          `json:"kubeVersion"`
	APIVersions  []string        `json:"apiVersions"`
	ReleaseName  string          `json:"releaseName"`
	Fetched      []Fetched       `json:"fetched"`
}

// Jsonnet is a file to evaluate.
type Jsonnet struct {
	Root              string     `json:"root"`
	File              string     `json:"file"`
	ExternalVariables []Variable `json:"extVars"`
	TopLevelArguments []Variable `json:"tlas"`
	Libraries         []string   `json:"libs"`
}

// Variable is a value handed to a Jsonnet program; with Code it is an expression.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Code  bool   `json:"code"`
}

// Ask asks the controller for something that a render reads: exactly one field is set.
type Ask struct {
	Stat          *Place      `json:"stat,omitempty"`
	List          *Place      `json:"list,omitempty"`
	Read          *Place      `json:"read,omitempty"`
	Tree          *Place      `json:"tree,omitempty"`
	KubeVersion   *struct{}   `json:"kubeVersion,omitempty"`
	HasAPIVersion *APIVersion `json:"hasApiVersion,omitempty"`
	APIVersions   *struct{}   `json:"apiVersions,omitempty"`
}

// APIVersion names a group and version, or these and a kind: "apps/v1", "apps/v1/Deployment".
type APIVersion struct {
	Name string `json:"name"`
}

// Kind is what stands at a path.
type Kind string

// The kinds. Symbolic links are followed by the controller: a worker never sees one.
const (
	File      Kind = "file"
	Directory Kind = "directory"
	Absent    Kind = "absent"
)

// Answer answers an Ask: which fields are set follows from the question. Error instead of all others ends the render.
type Answer struct {
	Error   string        `json:"error"`
	Kind    Kind          `json:"kind"`
	Entries []Entry       `json:"entries"`
	Data    []byte        `json:"data"`
	Files   []FileContent `json:"files"`
	Text    string        `json:"text"`
	Yes     *bool         `json:"yes"`
	Names   []string      `json:"names"`
}

// Entry is one name in a directory.
type Entry struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
}

// FileContent is a file below a directory, its path relative to that.
type FileContent struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

// Need is something remote that a render lacks: exactly one field is set. It can be compared by its Key.
type Need struct {
	Chart    *ChartNeed    `json:"chart,omitempty"`
	Resource *ResourceNeed `json:"resource,omitempty"`
}

// ChartNeed is a chart of a repository; the version may be a range.
type ChartNeed struct {
	Repository string `json:"repository"`
	Name       string `json:"name"`
	Version    string `json:"version"`
}

// ResourceNeed is a remote file or directory, as the user wrote it.
type ResourceNeed struct {
	URL string `json:"url"`
}

// Key tells needs apart.
func (n Need) Key() string {
	switch {
	case n.Chart != nil:
		return strings.Join([]string{"chart", n.Chart.Repository, n.Chart.Name, n.Chart.Version}, "\x00")
	case n.Resource != nil:
		return "resource\x00" + n.Resource.URL
	default:
		return ""
	}
}

// AddNeed adds a need, unless it is among them already.
func AddNeed(needs []Need, need Need) []Need {
	if slices.ContainsFunc(needs, func(known Need) bool { return known.Key() == need.Key() }) {
		return needs
	}
	return append(needs, need)
}

// Fetched says where something that an earlier render of the same lacked is to be read.
type Fetched struct {
	Need Need   `json:"need"`
	Root string `json:"root"`
	Path string `json:"path"`
}

// Find returns where a need was mounted.
func Find(fetched []Fetched, need Need) (Place, bool) {
	for _, one := range fetched {
		if one.Need.Key() == need.Key() {
			return Place{Root: one.Root, Path: one.Path}, true
		}
	}
	return Place{}, false
}

// Done ends a render that succeeded.
type Done struct {
	Documents []Document `json:"documents"`
	Warnings  []string   `json:"warnings"`
	// Unstable names what makes another render of the same differ, and where it stands.
	Unstable []string `json:"unstable"`
}

// Document is YAML of a rendered file, perhaps several documents of it.
type Document struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// Failed ends a render that failed, with what the user is told.
type Failed struct {
	Message string `json:"message"`
}

// NeedsError ends a render that lacks something remote. Whatever renders returns it like any other error.
type NeedsError struct{ Needs []Need }

func (e *NeedsError) Error() string {
	return fmt.Sprintf("%d things are to be fetched first", len(e.Needs))
}
