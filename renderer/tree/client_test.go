package tree

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
)

func controller() *treetest.Controller {
	return &treetest.Controller{
		Files: treetest.Files{
			"":       {"charts/app/Chart.yaml": "name: app", "charts/app/templates/a.yaml": "a: 1", "top.yaml": "t: 1"},
			"need:0": {"values.yaml": "v: 1"},
		},
		KubeVersion: "v1.36.3",
		APIVersions: []string{"v1", "apps/v1"},
	}
}

func TestEachQuestionIsAskedOnce(t *testing.T) {
	asked := controller()
	client := New(asked)
	for range 2 {
		if kind, err := client.Stat("", "charts/../charts/app/"); err != nil || kind != protocol.Directory {
			t.Fatalf("stat: %v, %v", kind, err)
		}
		if files, err := client.All("", "charts/app"); err != nil || len(files) != 2 {
			t.Fatalf("all: %v, %v", files, err)
		}
		// Known from the whole directory.
		if text, err := client.Read("", "./charts/app/Chart.yaml"); err != nil || string(text) != "name: app" {
			t.Fatalf("read: %q, %v", text, err)
		}
		if entries, err := client.List("", "."); err != nil || len(entries) != 2 {
			t.Fatalf("list: %v, %v", entries, err)
		}
		// Its kind is known from the list.
		if text, err := client.Read("", "top.yaml"); err != nil || string(text) != "t: 1" {
			t.Fatalf("read: %q, %v", text, err)
		}
		if text, err := client.Read("need:0", "values.yaml"); err != nil || string(text) != "v: 1" {
			t.Fatalf("read: %q, %v", text, err)
		}
		if version, err := client.KubeVersion(); err != nil || version != "v1.36.3" {
			t.Fatalf("version: %q, %v", version, err)
		}
		if yes, err := client.HasAPIVersion("apps/v1"); err != nil || !yes {
			t.Fatalf("has: %v, %v", yes, err)
		}
		if names, err := client.APIVersions(); err != nil || len(names) != 2 {
			t.Fatalf("names: %v, %v", names, err)
		}
	}
	want := []string{
		"stat charts/app", "tree charts/app", "stat", "list", "read top.yaml", "stat need:0 values.yaml", "read need:0 values.yaml",
		"kubeVersion", "hasApiVersion apps/v1", "apiVersions",
	}
	if !slices.Equal(asked.Asked, want) {
		t.Errorf("asked %q", asked.Asked)
	}
}

func TestWhatIsAbsentEndsNothing(t *testing.T) {
	client := New(controller())
	if kind, err := client.Stat("", "nowhere"); err != nil || kind != protocol.Absent {
		t.Errorf("stat: %v, %v", kind, err)
	}
	if _, err := client.Read("", "nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read: %v", err)
	}
	if _, err := client.List("", "nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list: %v", err)
	}
	if _, err := client.Read("", "charts"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read of a directory: %v", err)
	}
	if client.Failure() != nil {
		t.Errorf("failed: %v", client.Failure())
	}
}

func TestNoPathLeavesItsTree(t *testing.T) {
	asked := controller()
	client := New(asked)
	for _, name := range []string{"..", "../x", "a/../../x", "/etc/passwd", "a\x00b"} {
		if _, err := client.Stat("", name); err == nil {
			t.Errorf("%q was let through", name)
		}
	}
	if len(asked.Asked) != 0 || client.Failure() != nil {
		t.Errorf("asked %q, failed %v", asked.Asked, client.Failure())
	}
}

// odd is a controller of a version to come.
type odd struct{}

func (odd) Ask(ask protocol.Ask) (protocol.Answer, error) {
	if ask.Stat != nil && ask.Stat.Path == "a" {
		return protocol.Answer{Kind: protocol.Directory}, nil
	}
	return protocol.Answer{Kind: "device", Entries: []protocol.Entry{{Name: "b", Kind: "device"}}}, nil
}

// silent is a controller whose answers hold nothing, but for what stands there.
type silent struct{ kind protocol.Kind }

func (s silent) Ask(ask protocol.Ask) (protocol.Answer, error) {
	if ask.Stat != nil {
		return protocol.Answer{Kind: s.kind}, nil
	}
	return protocol.Answer{}, nil
}

func TestAnAnswerWithoutWhatWasAskedForIsNoEmptyOne(t *testing.T) {
	for name, ask := range map[string]func(file, directory *Client) error{
		"read": func(file, _ *Client) error { _, err := file.Read("", "a"); return err },
		"list": func(_, directory *Client) error { _, err := directory.List("", "a"); return err },
		"all":  func(_, directory *Client) error { _, err := directory.All("", "a"); return err },
		"kube": func(file, _ *Client) error { _, err := file.KubeVersion(); return err },
		"has":  func(file, _ *Client) error { _, err := file.HasAPIVersion("v1"); return err },
		"apis": func(file, _ *Client) error { _, err := file.APIVersions(); return err },
	} {
		file, directory := New(silent{protocol.File}), New(silent{protocol.Directory})
		if err := ask(file, directory); err == nil || !strings.Contains(err.Error(), "answered without") || errors.Join(file.Failure(), directory.Failure()) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKindsThatNobodyKnowsEndTheRender(t *testing.T) {
	client := New(odd{})
	if _, err := client.List("", "a"); err == nil || client.Failure() != err || !strings.Contains(err.Error(), `a is or holds what is of the kind "device"`) {
		t.Errorf("list: %v", err)
	}
	client = New(odd{})
	if _, err := client.Stat("$values", "b"); err == nil || client.Failure() != err || !strings.Contains(err.Error(), "$values/b") {
		t.Errorf("stat: %v", err)
	}
}

type refusing struct{ asked int }

func (r *refusing) Ask(protocol.Ask) (protocol.Answer, error) {
	r.asked++
	return protocol.Answer{Error: "a/secret is a symbolic link that leaves the repository"}, nil
}

func TestTheFirstErrorEndsTheRender(t *testing.T) {
	asker := &refusing{}
	client := New(asker)
	_, first := client.Read("", "a/secret")
	_, second := client.KubeVersion()
	if first == nil || second != first || client.Failure() != first || asker.asked != 1 {
		t.Errorf("%v, %v, %v after %d questions", first, second, client.Failure(), asker.asked)
	}
	if first.Error() != "a/secret is a symbolic link that leaves the repository" {
		t.Errorf("the text is not the controller's: %v", first)
	}
}
