// Package tree is the eyes of a render: whatever it reads, of files and of the cluster, it asks of the controller.
//
// A Client serves one render and asks each question once. The first answer that is an error ends the render: from then on
// every question fails with it, and Failure keeps it, because libraries swallow errors. What is absent is no failure.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"trueup.dev/renderer/protocol"
)

// Asker asks the controller; protocol.Line is one.
type Asker interface {
	Ask(protocol.Ask) (protocol.Answer, error)
}

// Client asks for what one render reads. It is not for several goroutines.
type Client struct {
	asker   Asker
	failure error

	kinds   map[protocol.Place]protocol.Kind
	entries map[protocol.Place][]protocol.Entry
	texts   map[protocol.Place][]byte
	trees   map[protocol.Place][]protocol.FileContent

	kubeVersion *string
	hasVersion  map[string]bool
	apiVersions []string
}

// New makes the client of one render.
func New(asker Asker) *Client {
	return &Client{
		asker:      asker,
		kinds:      map[protocol.Place]protocol.Kind{},
		entries:    map[protocol.Place][]protocol.Entry{},
		texts:      map[protocol.Place][]byte{},
		trees:      map[protocol.Place][]protocol.FileContent{},
		hasVersion: map[string]bool{},
	}
}

// Failure is what has ended the render, if something has. It comes before whatever the render itself says.
func (c *Client) Failure() error { return c.failure }

// Stat tells what stands at a path.
func (c *Client) Stat(root, name string) (protocol.Kind, error) {
	place, err := clean(root, name)
	if err != nil {
		return "", err
	}
	return c.stat(place)
}

func (c *Client) stat(place protocol.Place) (protocol.Kind, error) {
	if kind, known := c.kinds[place]; known {
		return kind, nil
	}
	answer, err := c.ask(protocol.Ask{Stat: &place})
	if err != nil {
		return "", err
	}
	switch answer.Kind {
	case protocol.File, protocol.Directory, protocol.Absent:
	default:
		return "", c.unknown(place, answer.Kind)
	}
	c.kinds[place] = answer.Kind
	return answer.Kind, nil
}

// List tells what a directory holds. The error is fs.ErrNotExist if there is nothing at the path.
func (c *Client) List(root, name string) ([]protocol.Entry, error) {
	place, err := c.expect(root, name, protocol.Directory)
	if err != nil {
		return nil, err
	}
	if entries, known := c.entries[place]; known {
		return entries, nil
	}
	answer, err := c.ask(protocol.Ask{List: &place})
	if err != nil {
		return nil, err
	}
	if answer.Entries == nil {
		return nil, c.lacking("what " + Shown(place) + " holds")
	}
	for _, entry := range answer.Entries {
		if entry.Kind != protocol.File && entry.Kind != protocol.Directory {
			return nil, c.unknown(place, entry.Kind)
		}
		c.kinds[protocol.Place{Root: root, Path: path.Join(place.Path, entry.Name)}] = entry.Kind
	}
	c.entries[place] = answer.Entries
	return answer.Entries, nil
}

// Read returns a file's content, which nobody may change. The error is fs.ErrNotExist if there is nothing at the path.
func (c *Client) Read(root, name string) ([]byte, error) {
	place, err := c.expect(root, name, protocol.File)
	if err != nil {
		return nil, err
	}
	if text, known := c.texts[place]; known {
		return text, nil
	}
	answer, err := c.ask(protocol.Ask{Read: &place})
	if err != nil {
		return nil, err
	}
	if answer.Data == nil {
		return nil, c.lacking("the content of " + Shown(place))
	}
	c.texts[place] = answer.Data
	return answer.Data, nil
}

// All returns all files below a directory, their paths relative to it; nobody may change their contents. The error is
// fs.ErrNotExist if there is nothing at the path.
func (c *Client) All(root, name string) ([]protocol.FileContent, error) {
	place, err := c.expect(root, name, protocol.Directory)
	if err != nil {
		return nil, err
	}
	if files, known := c.trees[place]; known {
		return files, nil
	}
	answer, err := c.ask(protocol.Ask{Tree: &place})
	if err != nil {
		return nil, err
	}
	if answer.Files == nil {
		return nil, c.lacking("the files below " + Shown(place))
	}
	c.trees[place] = answer.Files
	for _, file := range answer.Files {
		found := protocol.Place{Root: root, Path: path.Join(place.Path, file.Path)}
		c.kinds[found], c.texts[found] = protocol.File, file.Data
	}
	return answer.Files, nil
}

// KubeVersion is the destination cluster's version, such as "v1.36.3".
func (c *Client) KubeVersion() (string, error) {
	if c.kubeVersion == nil {
		answer, err := c.ask(protocol.Ask{KubeVersion: &struct{}{}})
		if err != nil {
			return "", err
		}
		if answer.Text == "" {
			return "", c.lacking("the cluster's version")
		}
		c.kubeVersion = &answer.Text
	}
	return *c.kubeVersion, nil
}

// HasAPIVersion tells whether the destination cluster serves "group/version" or "group/version/Kind".
func (c *Client) HasAPIVersion(name string) (bool, error) {
	if yes, known := c.hasVersion[name]; known {
		return yes, nil
	}
	answer, err := c.ask(protocol.Ask{HasAPIVersion: &protocol.APIVersion{Name: name}})
	if err != nil {
		return false, err
	}
	if answer.Yes == nil {
		return false, c.lacking("whether the cluster serves " + name)
	}
	c.hasVersion[name] = *answer.Yes
	return *answer.Yes, nil
}

// APIVersions is all that the destination cluster serves. A render that asks is bound to all of it: ask HasAPIVersion
// where that is enough.
func (c *Client) APIVersions() ([]string, error) {
	if c.apiVersions == nil {
		answer, err := c.ask(protocol.Ask{APIVersions: &struct{}{}})
		if err != nil {
			return nil, err
		}
		if answer.Names == nil {
			return nil, c.lacking("what the cluster serves")
		}
		c.apiVersions = answer.Names
	}
	return c.apiVersions, nil
}

func (c *Client) ask(ask protocol.Ask) (protocol.Answer, error) {
	if c.failure != nil {
		return protocol.Answer{}, c.failure
	}
	answer, err := c.asker.Ask(ask)
	if err != nil {
		return protocol.Answer{}, c.fail(err)
	}
	if answer.Error != "" {
		return protocol.Answer{}, c.fail(errors.New(answer.Error))
	}
	return answer, nil
}

func (c *Client) unknown(place protocol.Place, kind protocol.Kind) error {
	return c.fail(fmt.Errorf("the controller says that %s is or holds what is of the kind %q, which this renderer does not know: both are to be of one version",
		Shown(place), kind))
}

// lacking ends a render: an answer without what was asked for would be taken for an empty one.
func (c *Client) lacking(what string) error {
	return c.fail(fmt.Errorf("the controller answered without %s: it and this renderer are to be of one version", what))
}

func (c *Client) fail(err error) error {
	if c.failure == nil {
		c.failure = err
	}
	return c.failure
}

// expect cleans a path and makes sure of what stands there: a controller that is asked to read what is absent could only
// end the render, and here many look for what need not be there.
func (c *Client) expect(root, name string, wanted protocol.Kind) (protocol.Place, error) {
	place, err := clean(root, name)
	if err != nil {
		return place, err
	}
	kind, err := c.stat(place)
	switch {
	case err != nil:
		return place, err
	case kind == protocol.Absent:
		return place, &fs.PathError{Op: "read", Path: Shown(place), Err: fs.ErrNotExist}
	case kind != wanted:
		return place, fmt.Errorf("%s is a %s, not a %s", Shown(place), kind, wanted)
	}
	return place, nil
}

// clean brings a path into the one form that the protocol knows. A path that leaves the tree is an error of that path
// alone.
func clean(root, name string) (protocol.Place, error) {
	cleaned := path.Clean(name)
	switch {
	case path.IsAbs(cleaned):
		return protocol.Place{}, fmt.Errorf("%q is an absolute path; only paths inside the source can be read", name)
	case cleaned == ".." || strings.HasPrefix(cleaned, "../"):
		return protocol.Place{}, fmt.Errorf("%q leads out of the source", name)
	case strings.Contains(cleaned, "\x00"):
		return protocol.Place{}, fmt.Errorf("%q is not a path", name)
	case cleaned == ".":
		cleaned = ""
	}
	return protocol.Place{Root: root, Path: cleaned}, nil
}

// Shown is a place as users read it.
func Shown(place protocol.Place) string {
	name := place.Path
	if name == "" {
		name = "."
	}
	switch {
	case strings.HasPrefix(place.Root, "$"):
		return place.Root + "/" + name
	case place.Root != "":
		return name + " (of what was fetched)"
	default:
		return name
	}
}
