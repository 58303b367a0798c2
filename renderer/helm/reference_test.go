package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
	"trueup.dev/renderer/tree/treetest"
)

const kubeVersion = "v1.36.3"

// helmCommand is the real helm.
var helmCommand string

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(Logs()))
	helmCommand = treetest.Tool("helm")
	treetest.LimitMemory()
	os.Exit(m.Run())
}

// example is a chart of testdata and how it is rendered.
type example struct {
	ReleaseName string            `json:"releaseName"`
	Namespace   string            `json:"namespace"`
	Chart       string            `json:"chart"`
	Values      []string          `json:"values"`
	Set         []parameter       `json:"set"`
	SetFile     map[string]string `json:"setFile"`
	APIVersions []string          `json:"apiVersions"`
	SkipTests   bool              `json:"skipTests"`
	// Pack are directories below pack/ that become packaged charts in charts/.
	Pack []string `json:"pack"`
	// BuildDependencies: the real command needs its dependencies in charts/ first.
	BuildDependencies bool `json:"buildDependencies"`
	// Asked, Warnings and Unstable are what is expected of them, if it stands there.
	Asked    *[]string `json:"asked"`
	Warnings *[]string `json:"warnings"`
	Unstable *[]string `json:"unstable"`

	files map[string]string
}

// parameter is [name, value] or [name, value, true]: the last forces a string.
type parameter protocol.Parameter

func (p *parameter) UnmarshalJSON(text []byte) error {
	var parts []any
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	p.Name, p.Value = parts[0].(string), parts[1].(string)
	p.ForceString = len(parts) > 2
	return nil
}

// TestEqualsTheRealCommand renders each chart of testdata here and by the real command.
func TestEqualsTheRealCommand(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no charts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			example := readExample(t, name)
			controller := &treetest.Controller{Files: treetest.Files{"": example.files}, KubeVersion: kubeVersion, APIVersions: example.APIVersions}
			done, err := Render(tree.New(controller), example.job())
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, document := range done.Documents {
				texts = append(texts, document.Text)
			}
			ours, theirs := documents(t, strings.Join(texts, "\n---\n")), documents(t, example.run(t))
			if len(ours) != len(theirs) {
				t.Errorf("%d documents instead of %d", len(ours), len(theirs))
			}
			for index := range min(len(ours), len(theirs)) {
				if !reflect.DeepEqual(ours[index], theirs[index]) {
					t.Errorf("document %d is\n%s instead of\n%s", index, print(ours[index]), print(theirs[index]))
				}
			}
			expect(t, "asked", controller.Asked, example.Asked)
			expect(t, "warnings", done.Warnings, example.Warnings)
			expect(t, "unstable", done.Unstable, example.Unstable)
		})
	}
}

func expect(t *testing.T, what string, got []string, want *[]string) {
	t.Helper()
	if want != nil && !slices.Equal(got, *want) {
		t.Errorf("%s: %q instead of %q", what, got, *want)
	}
}

func (e *example) job() *protocol.Helm {
	job := &protocol.Helm{
		Chart: protocol.Place{Path: e.Chart}, ReleaseName: e.ReleaseName, Namespace: e.Namespace, IncludeCRDs: true, SkipTests: e.SkipTests,
	}
	for _, name := range e.Values {
		job.Values = append(job.Values, protocol.NamedText{Name: name, Text: e.files[name]})
	}
	for _, one := range e.Set {
		job.Set = append(job.Set, protocol.Parameter(one))
	}
	for _, name := range slices.Sorted(maps.Keys(e.SetFile)) {
		job.SetFile = append(job.SetFile, protocol.NamedText{Name: name, Text: e.SetFile[name]})
	}
	return job
}

// run is what the real command prints.
func (e *example) run(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	treetest.Save(t, dir, e.files)
	chart := filepath.Join(dir, e.Chart)
	if e.BuildDependencies {
		execute(t, dir, helmCommand, "dependency", "build", "--skip-refresh", chart)
	}
	arguments := []string{"template", e.ReleaseName, chart, "--include-crds", "--namespace", e.Namespace, "--kube-version", kubeVersion}
	for _, name := range e.APIVersions {
		arguments = append(arguments, "--api-versions", name)
	}
	for _, name := range e.Values {
		arguments = append(arguments, "--values", filepath.Join(dir, name))
	}
	for _, one := range e.Set {
		flag := "--set"
		if one.ForceString {
			flag = "--set-string"
		}
		value := one.Value
		// As Argo CD hands parameters to the command.
		if !strings.HasPrefix(value, "{") {
			value = strings.ReplaceAll(strings.ReplaceAll(value, `\,`, ","), ",", `\,`)
		}
		arguments = append(arguments, flag, one.Name+"="+value)
	}
	for name, text := range e.SetFile {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--set-file", name+"="+file)
	}
	if e.SkipTests {
		arguments = append(arguments, "--skip-tests")
	}
	return execute(t, dir, helmCommand, arguments...)
}

func execute(t *testing.T, home, program string, arguments ...string) string {
	t.Helper()
	run := exec.Command(program, arguments...)
	run.Env = []string{"HOME=" + home, "TZ=UTC"}
	var complaints bytes.Buffer
	run.Stderr = &complaints
	out, err := run.Output()
	if err != nil {
		t.Fatalf("helm %q: %v: %s", arguments, err, complaints.String())
	}
	return string(out)
}

func readExample(t *testing.T, name string) *example {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, files := treetest.Parse(string(text))
	example := &example{Chart: "chart", files: files}
	if err := json.Unmarshal([]byte(example.files["job.json"]), example); err != nil {
		t.Fatalf("job.json: %v", err)
	}
	delete(example.files, "job.json")
	for _, packed := range example.Pack {
		files := map[string]string{}
		for path, text := range example.files {
			if below, inside := strings.CutPrefix(path, "pack/"); inside && strings.HasPrefix(below, packed+"/") {
				files[below] = text
				delete(example.files, path)
			}
		}
		example.files[fmt.Sprintf("%s/charts/%s.tgz", example.Chart, packed)] = pack(t, files)
	}
	return example
}

func pack(t *testing.T, files map[string]string) string {
	t.Helper()
	var headers []tar.Header
	for _, name := range slices.Sorted(maps.Keys(files)) {
		headers = append(headers, tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))})
	}
	return packEntries(t, headers, func(name string) string { return files[name] })
}

func packEntries(t *testing.T, headers []tar.Header, content func(name string) string) string {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	writer := tar.NewWriter(zipped)
	for _, header := range headers {
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			if _, err := io.WriteString(writer, content(header.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(writer.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

// documents are those of a stream that are not empty.
func documents(t *testing.T, text string) []any {
	t.Helper()
	var found []any
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if document != nil {
			found = append(found, document)
		}
	}
}

func print(document any) string {
	text, err := yaml.Marshal(document)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
