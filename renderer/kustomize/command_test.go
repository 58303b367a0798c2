package kustomize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
	"trueup.dev/renderer/tree/treetest"
)

// The real commands, and the search path as it was before anything sealed this process.
var (
	kustomizeCommand, helmCommand string
	// kustomizeSources is the directory of Kustomize's library.
	kustomizeSources string
	searchPath       = os.Getenv("PATH")
)

func TestMain(m *testing.M) {
	kustomizeCommand, helmCommand = treetest.Tool("kustomize"), treetest.Tool("helm")
	kustomizeSources = treetest.Go("list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kustomize/api")
	treetest.LimitMemory()
	os.Exit(m.Run())
}

// archive reads the files of a test.
func archive(t testing.TB, text string) (comment string, files map[string]string) {
	t.Helper()
	if comment, files = treetest.Parse(text); len(files) == 0 {
		t.Fatal("an archive without files")
	}
	return comment, files
}

// real runs `kustomize edit` and `kustomize build` on a copy of the files.
func real(t testing.TB, files map[string]string, overlay string, edits [][]string, flags ...string) (string, error) {
	t.Helper()
	directory := t.TempDir()
	treetest.Save(t, directory, files)
	for _, edit := range edits {
		if _, err := run(filepath.Join(directory, overlay), append([]string{"edit"}, edit...)...); err != nil {
			return "", err
		}
	}
	return run(directory, append([]string{"build", filepath.Join(directory, overlay)}, flags...)...)
}

func run(directory string, arguments ...string) (string, error) {
	command := exec.Command(kustomizeCommand, arguments...)
	command.Dir = directory
	command.Env = append(os.Environ(), "PATH="+searchPath)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("kustomize %q: %w: %s", arguments, err, complaint.String())
	}
	return string(out), nil
}

// render builds an overlay of the files with Render.
func render(files treetest.Files, request protocol.Kustomize) (*protocol.Done, *treetest.Controller, error) {
	controller := &treetest.Controller{Files: files, KubeVersion: "v1.36.3", APIVersions: []string{"v1", "apps/v1"}}
	done, err := confined(controller, request)
	return done, controller, err
}

// confined builds an overlay in a process that can open nothing: no file, no socket, and no pipe, without which no program
// is started. All tests build like that.
func confined(asker tree.Asker, request protocol.Kustomize) (*protocol.Done, error) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		panic(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		panic(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			panic(err)
		}
	}()
	if _, err := os.Open("/dev/null"); err == nil {
		panic("a file could be opened")
	}
	return Render(tree.New(asker), &request)
}

func text(done *protocol.Done) string {
	var all strings.Builder
	for _, document := range done.Documents {
		all.WriteString("---\n" + document.Text)
	}
	return all.String()
}

func objects(t testing.TB, text string) []any {
	t.Helper()
	var all []any
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var object any
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("what was rendered is no YAML: %v\n%s", err, text)
		}
		if object != nil {
			all = append(all, object)
		}
	}
}

func same(t testing.TB, got, want string) {
	t.Helper()
	// A test knows nothing of the modules that it was built of, from which Kustomize takes its version.
	got, want = managedBy.ReplaceAllString(got, "$1"), managedBy.ReplaceAllString(want, "$1")
	have, expected := objects(t, got), objects(t, want)
	if len(expected) == 0 {
		t.Fatal("there is nothing to compare with")
	}
	for i := range max(len(have), len(expected)) {
		if i >= len(have) || i >= len(expected) {
			t.Fatalf("%d objects instead of %d:\n%s\ninstead of\n%s", len(have), len(expected), got, want)
		}
		if !reflect.DeepEqual(have[i], expected[i]) {
			a, _ := yaml.Marshal(have[i])
			b, _ := yaml.Marshal(expected[i])
			t.Errorf("object %d is\n%s\ninstead of\n%s", i, a, b)
		}
	}
}

var managedBy = regexp.MustCompile(`(app.kubernetes.io/managed-by: kustomize-)\S+`)

func raw(t testing.TB, value any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
