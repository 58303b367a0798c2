package jsonnet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
	"trueup.dev/renderer/tree/treetest"
)

// command is go-jsonnet's own command, built once.
var command string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		directory, err := os.MkdirTemp("", "jsonnet")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(directory)
		command = filepath.Join(directory, "jsonnet")
		if out, err := exec.Command("go", "build", "-o", command, "github.com/google/go-jsonnet/cmd/jsonnet").CombinedOutput(); err != nil {
			panic(string(out))
		}
		treetest.LimitMemory()
		return m.Run()
	}())
}

func render(files map[string]string, request protocol.Jsonnet) (*protocol.Done, *treetest.Controller, error) {
	controller := &treetest.Controller{Files: treetest.Files{"": files}}
	done, err := Render(tree.New(controller), &request)
	return done, controller, err
}

func values(t *testing.T, texts ...string) []any {
	t.Helper()
	var all []any
	for _, text := range texts {
		decoder := json.NewDecoder(strings.NewReader(text))
		for {
			var value any
			if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if elements, isArray := value.([]any); isArray {
				all = append(all, elements...)
			} else {
				all = append(all, value)
			}
		}
	}
	return all
}

var repository = map[string]string{
	"app/main.jsonnet": `
local lib = import 'deployment.libsonnet';
local shared = import 'shared/labels.libsonnet';
function(name='web', replicas=1) [
  lib.deployment(name, replicas) { metadata+: { labels: shared.labels } },
  {
    apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: name },
    data: { script: importstr 'files/run.sh', cluster: std.extVar('cluster') },
    binaryData: { blob: std.base64(importbin 'files/blob') },
  },
]`,
	"app/deployment.libsonnet": `{
  deployment(name, replicas):: {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: name },
    spec: { replicas: replicas, revisionHistoryLimit: (import '../lib/defaults.jsonnet').history },
  },
}`,
	"app/files/run.sh":                     "echo hello\n",
	"app/files/blob":                       "\x00\xff\xfe binary",
	"app/one.jsonnet":                      `{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' + std.extVar('number') } }`,
	"lib/defaults.jsonnet":                 `{ history: 3 }`,
	"lib/shared/labels.libsonnet":          `{ labels: { from: 'lib' } }`,
	"vendor/shared/labels.libsonnet":       `{ labels: { from: 'vendor' } }`,
	"vendor/shared/unused/other.libsonnet": `error 'never read'`,
}

func TestEqualsItsCommand(t *testing.T) {
	cases := map[string]protocol.Jsonnet{
		"libraries, the last first": {
			File: "app/main.jsonnet", Libraries: []string{"lib", "vendor"},
			ExternalVariables: []protocol.Variable{{Name: "cluster", Value: "eu-1"}},
		},
		"top-level arguments": {
			File: "app/main.jsonnet", Libraries: []string{"./lib/"},
			ExternalVariables: []protocol.Variable{{Name: "cluster", Value: "'eu' + '-2'", Code: true}},
			TopLevelArguments: []protocol.Variable{{Name: "name", Value: "3 is a string"}, {Name: "replicas", Value: "1 + 2", Code: true}},
		},
		"one object": {File: "app/one.jsonnet", ExternalVariables: []protocol.Variable{{Name: "number", Value: "41 + 1", Code: true}}},
		"code that imports": {File: "app/one.jsonnet",
			ExternalVariables: []protocol.Variable{{Name: "number", Value: "(import 'lib/defaults.jsonnet').history", Code: true}}},
	}
	directory := t.TempDir()
	treetest.Save(t, directory, repository)
	for name, request := range cases {
		t.Run(name, func(t *testing.T) {
			done, _, err := render(repository, request)
			if err != nil {
				t.Fatal(err)
			}
			var arguments []string
			for _, library := range request.Libraries {
				arguments = append(arguments, "-J", library)
			}
			for flag, variables := range map[string][]protocol.Variable{"ext": request.ExternalVariables, "tla": request.TopLevelArguments} {
				for _, variable := range variables {
					kind := "-str"
					if variable.Code {
						kind = "-code"
					}
					arguments = append(arguments, "--"+flag+kind, variable.Name+"="+variable.Value)
				}
			}
			real := exec.Command(command, append(arguments, request.File)...)
			real.Dir = directory
			var complaint bytes.Buffer
			real.Stderr = &complaint
			out, err := real.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, complaint.String())
			}
			var texts []string
			for _, document := range done.Documents {
				texts = append(texts, document.Text)
				if document.File != request.File {
					t.Errorf("a document of %q", document.File)
				}
			}
			want := values(t, string(out))
			if got := values(t, texts...); !reflect.DeepEqual(got, want) || len(done.Documents) != len(want) {
				t.Errorf("%v\ninstead of\n%v", got, want)
			}
		})
	}
}

func TestOnlyWhatIsImportedIsAskedFor(t *testing.T) {
	_, controller, err := render(repository, protocol.Jsonnet{File: "app/main.jsonnet", Libraries: []string{"lib", "vendor"},
		ExternalVariables: []protocol.Variable{{Name: "cluster", Value: "x"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range controller.Asked {
		if strings.HasPrefix(asked, "list") || strings.HasPrefix(asked, "tree") || strings.Contains(asked, "unused") {
			t.Errorf("asked: %s", asked)
		}
	}
	// That the file was looked for in vain is part of what was read.
	if !slices.Contains(controller.Asked, "stat app/shared/labels.libsonnet") || slices.Contains(controller.Asked, "stat lib/shared/labels.libsonnet") {
		t.Errorf("asked: %q", controller.Asked)
	}
}

func TestWhatIsRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.jsonnet")
	treetest.Save(t, filepath.Dir(outside), map[string]string{"secret.jsonnet": "{ secret: 'of the disk' }"})
	cases := map[string]struct{ text, want string }{
		"absolute":             {"import '" + outside + "'", "absolute paths are not read"},
		"absolute text":        {"importstr '/etc/passwd'", "absolute paths are not read"},
		"outside":              {"import '../../x.jsonnet'", "lead out of the repository"},
		"absent":               {"import 'nothing.jsonnet'", `there is no "nothing.jsonnet" beside the importing file or in the libraries lib`},
		"a directory":          {"import '../app'", "is a directory"},
		"a number":             {"1 + 1", "evaluates to a number"},
		"a string":             {"'x'", "evaluates to a string"},
		"nothing":              {"null", "evaluates to null"},
		"an array of arrays":   {"[{}, []]", "element 1 is an array"},
		"an array with a hole": {"[{}, null]", "element 1 is null"},
		"no program":           {"{ a: ", "a/main.jsonnet:1:"},
		"an error":             {"error 'replicas are missing'", "replicas are missing"},
		"without end":          {"local f(x) = f(x + 1) + 1; { a: f(0) }", "max stack frames exceeded"},
		"a cycle":              {"import 'main.jsonnet'", "max stack frames exceeded"},
		"too large":            {"local twice(n) = if n == 0 then 'xxxxxxxxxxxxxxxx' else local half = twice(n - 1); half + half; { a: twice(22) }", "the limit is"},
		"a missing variable":   {"{ a: std.extVar('region') }", "region"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"a/main.jsonnet": test.text, "app/x.jsonnet": "{}", "lib/x.libsonnet": "{}"}
			done, _, err := render(files, protocol.Jsonnet{File: "a/main.jsonnet", Libraries: []string{"lib"}})
			if err == nil {
				t.Fatalf("rendered %v", done.Documents)
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "a/main.jsonnet") {
				t.Errorf("says %q", err)
			}
		})
	}
}

type broken struct{}

func (broken) Ask(protocol.Ask) (protocol.Answer, error) {
	return protocol.Answer{Error: "a/main.jsonnet is a symbolic link that leaves the repository"}, nil
}

func TestTheControllersErrorComesFirst(t *testing.T) {
	_, err := Render(tree.New(broken{}), &protocol.Jsonnet{File: "a/main.jsonnet"})
	if err == nil || err.Error() != "a/main.jsonnet is a symbolic link that leaves the repository" {
		t.Errorf("%v", err)
	}
}
