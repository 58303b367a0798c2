package helm

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
	"trueup.dev/renderer/tree/treetest"
)

const (
	plainChart    = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
	plainManifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
)

// renderFiles renders the chart in the directory `app` of a source, and tells what was asked for.
func renderFiles(files treetest.Files, change func(*protocol.Helm)) (*protocol.Done, []string, error) {
	controller := &treetest.Controller{Files: files, KubeVersion: kubeVersion}
	job := &protocol.Helm{Chart: protocol.Place{Path: "app"}, ReleaseName: "r", Namespace: "n"}
	if change != nil {
		change(job)
	}
	done, err := Render(tree.New(controller), job)
	return done, controller.Asked, err
}

// app is a source with one chart; without a Chart.yaml of its own it has a plain one.
func app(files map[string]string) treetest.Files {
	all := map[string]string{"app/Chart.yaml": plainChart}
	for name, text := range files {
		all["app/"+name] = text
	}
	return treetest.Files{"": all}
}

func TestWhatFailsSaysWhereAndWhy(t *testing.T) {
	cases := map[string]struct {
		files  map[string]string
		change func(*protocol.Helm)
		want   []string
	}{
		"the values do not meet the schema": {
			files: map[string]string{"values.schema.json": `{"properties": {"port": {"type": "integer"}}}`, "values.yaml": "port: http"},
			want:  []string{`chart "app"`, "/port", "want integer", "skipSchemaValidation"},
		},
		"the schema is none": {
			files: map[string]string{"values.schema.json": `{"type": 1}`},
			want:  []string{`chart "app"`, "values.schema.json"},
		},
		"the schema looks at the disk": {
			files: map[string]string{"values.schema.json": `{"$ref": "file:///etc/passwd"}`},
			want:  []string{"file:///etc/passwd", "no part of the chart"},
		},
		"a value is missing": {
			files: map[string]string{"templates/a.yaml": "{{ if .Values.on }}{{ end }}\nname: {{ .Values.a.b }}"},
			want:  []string{`chart "app"`, "app/templates/a.yaml:2:", "set it in the values"},
		},
		"an error in the first line": {
			files: map[string]string{"templates/a.yaml": `{{ fail "no such thing" }}`},
			want:  []string{`chart "app"`, "(app/templates/a.yaml:1:3)", "no such thing"},
		},
		"a required value": {
			files: map[string]string{"templates/a.yaml": "a: b\nc: {{ required \"give a password\" .Values.password }}"},
			want:  []string{"app/templates/a.yaml:2:", "give a password"},
		},
		"notes may refuse": {
			files: map[string]string{"templates/NOTES.txt": `{{ fail "bad values" }}`},
			want:  []string{"NOTES.txt", "bad values"},
		},
		"a template that does not parse": {
			files: map[string]string{"templates/a.yaml": "a: b\n{{ if }}"},
			want:  []string{"app/templates/a.yaml:2", "missing value for if"},
		},
		"a template that nobody defines": {
			files: map[string]string{"templates/a.yaml": `{{ include "common.labels" . }}`},
			want:  []string{"app/templates/a.yaml", "common.labels", "library chart"},
		},
		"what is rendered is no YAML": {
			files: map[string]string{"templates/a.yaml": "a: [1\nb: 2"},
			want:  []string{`chart "app"`, "app/templates/a.yaml", "no YAML"},
		},
		"a template that includes itself": {
			files: map[string]string{"templates/a.yaml": `{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}`},
			want:  []string{"app/templates/a.yaml", "nested reference name: x"},
		},
		"a template that renders itself": {
			files: map[string]string{"templates/a.yaml": `{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`},
			want:  []string{"app/templates/a.yaml", "depth"},
		},
		"much output": {
			files: map[string]string{"templates/a.yaml": `a: {{ repeat 100000000 "x" }}`},
			want:  []string{`chart "app"`, "more than 32 MiB", "app/templates/a.yaml"},
		},
		"the values are no YAML": {
			change: func(job *protocol.Helm) { job.Values = []protocol.NamedText{{Name: "values-prod.yaml", Text: "a: [1"}} },
			want:   []string{"values-prod.yaml", "yaml"},
		},
		"a parameter without sense": {
			change: func(job *protocol.Helm) { job.Set = []protocol.Parameter{{Name: "a[99999999]", Value: "1"}} },
			want:   []string{`parameter "a[99999999]"`},
		},
		"aliases without end": {
			change: func(job *protocol.Helm) {
				bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
				for letter := 'b'; letter < 'k'; letter++ {
					bomb += fmt.Sprintf("%[1]c: &%[1]c [%[2]s]\n", letter, strings.Repeat(fmt.Sprintf("*%c,", letter-1), 9))
				}
				job.Values = []protocol.NamedText{{Name: "bomb.yaml", Text: bomb}}
			},
			want: []string{"bomb.yaml", "excessive aliasing"},
		},
		"a release name that is none": {
			change: func(job *protocol.Helm) { job.ReleaseName = "No_Name" },
			want:   []string{`"No_Name"`, "helm.releaseName"},
		},
		"a namespace that is none": {
			change: func(job *protocol.Helm) { job.Namespace = "a/b" },
			want:   []string{`"a/b"`, "namespace"},
		},
		"no chart": {
			change: func(job *protocol.Helm) { job.Chart.Path = "nowhere" },
			want:   []string{`"nowhere"`, "does not exist"},
		},
		"no Chart.yaml": {
			change: func(job *protocol.Helm) { job.Chart.Path = "app/templates" },
			files:  map[string]string{"templates/a.yaml": ""},
			want:   []string{`"app/templates"`, "Chart.yaml file is missing"},
		},
		"a library": {
			files: map[string]string{"Chart.yaml": plainChart + "type: library\n"},
			want:  []string{`"app"`, "library"},
		},
		"a chart of a kind to come": {
			files: map[string]string{"Chart.yaml": "apiVersion: v3\nname: app\nversion: 1.0.0\n"},
			want:  []string{`"app"`, `"v3"`},
		},
		"an older cluster": {
			files: map[string]string{"Chart.yaml": plainChart + "kubeVersion: '>=1.99'\n"},
			want:  []string{`"app"`, ">=1.99", kubeVersion},
		},
		"a dependency of nowhere": {
			files: map[string]string{"Chart.yaml": plainChart + "dependencies: [{name: redis, version: '1'}]\n"},
			want:  []string{`"app"`, `"redis"`, "charts/"},
		},
		"a dependency outside the source": {
			files: map[string]string{"Chart.yaml": plainChart + "dependencies: [{name: redis, version: '1', repository: 'file://../../redis'}]\n"},
			want:  []string{"../redis", "leads out of the source"},
		},
		"a dependency on the disk": {
			files: map[string]string{"Chart.yaml": plainChart + "dependencies: [{name: redis, version: '1', repository: 'file:///srv/redis'}]\n"},
			want:  []string{`"redis"`, "file:///srv/redis", "absolute"},
		},
		"a dependency of another version": {
			files: map[string]string{
				"Chart.yaml":     plainChart + "dependencies: [{name: db, version: ^2, repository: 'file://db'}]\n",
				"db/Chart.yaml":  "apiVersion: v2\nname: db\nversion: 1.0.0\n",
				"db/values.yaml": "",
			},
			want: []string{`"app"`, `"db"`, `"^2"`, `"1.0.0"`},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := renderFiles(app(test.files), test.change)
			if err == nil {
				t.Fatal("it rendered")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not stand in %q", want, err)
				}
			}
		})
	}
}

func TestPackagedChartsKeepToTheirLimits(t *testing.T) {
	chart := tar.Header{Name: "sub/Chart.yaml", Mode: 0o644, Size: int64(len(plainChart))}
	text := func(string) string { return plainChart }
	zeros := strings.Repeat("\x00", 60<<20)
	large := packEntries(t, []tar.Header{chart, {Name: "sub/zeros", Size: int64(len(zeros))}}, func(name string) string {
		if name == "sub/zeros" {
			return zeros
		}
		return plainChart
	})
	bomb := packEntries(t, []tar.Header{{Name: "sub/a", Size: 60 << 20}, {Name: "sub/b", Size: 60 << 20}}, func(string) string { return zeros })
	many := []tar.Header{chart}
	for index := range maxUnpackedFiles {
		many = append(many, tar.Header{Name: fmt.Sprintf("sub/%d", index)})
	}
	nested := pack(t, map[string]string{"sub/Chart.yaml": plainChart, "sub/charts/a.tgz": large, "sub/charts/b.tgz": large})
	cases := map[string]struct{ packed, want string }{
		"out of the archive":  {packEntries(t, []tar.Header{chart, {Name: "sub/../../etc/passwd"}}, text), "leads out of the chart"},
		"an absolute path":    {packEntries(t, []tar.Header{chart, {Name: "sub//etc/passwd"}}, text), "leads out of the chart"},
		"packed on Windows":   {packEntries(t, []tar.Header{chart, {Name: `sub\..\..\x`}}, text), "leads out of the chart"},
		"a bomb":              {bomb, "unpack to more than 100 MiB"},
		"a bomb inside":       {nested, "unpack to more than 100 MiB"},
		"many files":          {packEntries(t, many, text), "more than 20000 files"},
		"no archive":          {"version https://git-lfs.github.com/spec/v1\n", "no packaged chart"},
		"an interrupted one":  {large[:len(large)/2], "cannot be unpacked"},
		"nothing in it":       {packEntries(t, nil, text), "empty archive"},
		"no chart in it":      {pack(t, map[string]string{"sub/values.yaml": ""}), "Chart.yaml file is missing"},
		"without a directory": {pack(t, map[string]string{"Chart.yaml": plainChart}), "not in a directory"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := renderFiles(app(map[string]string{"charts/sub.tgz": test.packed}), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "charts/sub.tgz") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestALinkInAPackagedChartIsEmpty(t *testing.T) {
	packed := packEntries(t, []tar.Header{
		{Name: "sub/Chart.yaml", Size: int64(len(plainChart))},
		{Name: "sub/secret", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
	}, func(string) string { return strings.Replace(plainChart, "app", "sub", 1) })
	files := app(map[string]string{"charts/sub.tgz": packed})
	done, _, err := renderFiles(files, nil)
	if err != nil || len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], `"sub/secret" is a link`) {
		t.Errorf("%+v, %v", done, err)
	}
}

const dependent = plainChart + `dependencies:
- {name: redis, version: ^17.0.0, repository: "https://charts.example.org", condition: redis.enabled}
- {name: redis, version: ^17.0.0, repository: "https://charts.example.org", alias: second}
- {name: idle, version: "1", repository: "oci://example.org/charts", condition: idle.enabled}
- {name: tagged, version: "1", repository: "oci://example.org/charts", tags: [extras]}
`

func needsOf(t *testing.T, err error) []string {
	t.Helper()
	var needs *protocol.NeedsError
	if !errors.As(err, &needs) {
		t.Fatalf("%v", err)
	}
	var keys []string
	for _, need := range needs.Needs {
		keys = append(keys, strings.ReplaceAll(need.Key(), "\x00", " "))
	}
	return keys
}

func TestMissingDependenciesAreNamed(t *testing.T) {
	lock := "dependencies:\n- {name: redis, version: 17.3.1, repository: 'https://charts.example.org'}\n" +
		"- {name: redis, version: 17.3.1, repository: 'https://charts.example.org'}\n" +
		"- {name: idle, version: 1.0.0, repository: 'oci://example.org/charts'}\n- {name: tagged, version: 1.0.0, repository: 'oci://example.org/charts'}\n"
	cases := map[string]struct {
		files map[string]string
		want  []string
	}{
		"as written": {
			files: map[string]string{"values.yaml": "idle: {enabled: false}\ntags: {extras: false}"},
			want:  []string{"chart https://charts.example.org redis ^17.0.0"},
		},
		"as locked": {
			files: map[string]string{"values.yaml": "idle: {enabled: false}", "Chart.lock": lock},
			want:  []string{"chart https://charts.example.org redis 17.3.1", "chart oci://example.org/charts tagged 1.0.0"},
		},
		"the lock does not fit": {
			files: map[string]string{"values.yaml": "idle: {enabled: true}", "Chart.lock": strings.ReplaceAll(lock, "17.3.1", "16.0.0")},
			want: []string{"chart https://charts.example.org redis ^17.0.0", "chart oci://example.org/charts idle 1",
				"chart oci://example.org/charts tagged 1"},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			test.files["Chart.yaml"] = dependent
			_, asked, err := renderFiles(app(test.files), nil)
			if keys := needsOf(t, err); !slices.Equal(keys, test.want) {
				t.Errorf("%q", keys)
			}
			if !slices.Equal(asked, []string{"stat app", "tree app"}) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestFetchedDependenciesAreUsed(t *testing.T) {
	files := app(map[string]string{
		"Chart.yaml":       dependent,
		"values.yaml":      "idle: {enabled: false}\ntags: {extras: false}\nredis: {enabled: true}\nsecond: {text: two}",
		"templates/a.yaml": plainManifest,
	})
	files["need:0"] = map[string]string{
		"redis/Chart.yaml":       "apiVersion: v2\nname: redis\nversion: 17.9.9\ndependencies: [{name: common, version: 2.x.x, repository: 'https://x'}]\n",
		"redis/.helmignore":      "templates/a.yaml",
		"redis/values.yaml":      "text: one",
		"redis/templates/a.yaml": plainManifest + "data: {text: {{ .Values.text }}, chart: {{ .Chart.Name }}}",
	}
	done, _, err := renderFiles(files, func(job *protocol.Helm) {
		need := protocol.Need{Chart: &protocol.ChartNeed{Repository: "https://charts.example.org", Name: "redis", Version: "^17.0.0"}}
		job.Fetched = []protocol.Fetched{{Need: need, Root: "need:0", Path: "redis"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, document := range done.Documents {
		texts[document.File] = document.Text
	}
	if len(texts) != 3 || !strings.Contains(texts["app/charts/redis/templates/a.yaml"], "text: one, chart: redis") ||
		!strings.Contains(texts["app/charts/second/templates/a.yaml"], "text: two, chart: second") {
		t.Errorf("%q", texts)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], `"redis" lacks its own dependency "common"`) {
		t.Errorf("%q", done.Warnings)
	}
}

func TestRemoteSchemasAreFetchedFirst(t *testing.T) {
	files := app(map[string]string{"values.schema.json": `{"$ref": "https://example.org/app.json"}`, "values.yaml": "port: x"})
	_, _, err := renderFiles(files, nil)
	if keys := needsOf(t, err); !slices.Equal(keys, []string{"resource https://example.org/app.json"}) {
		t.Errorf("%q", keys)
	}
	files["need:0"] = map[string]string{"app.json": `{"properties": {"port": {"type": "integer"}}}`}
	fetched := func(job *protocol.Helm) {
		need := protocol.Need{Resource: &protocol.ResourceNeed{URL: "https://example.org/app.json"}}
		job.Fetched = []protocol.Fetched{{Need: need, Root: "need:0", Path: "app.json"}}
	}
	if _, _, err = renderFiles(files, fetched); err == nil || !strings.Contains(err.Error(), "want integer") {
		t.Errorf("%v", err)
	}
	skipped := func(job *protocol.Helm) { job.SkipSchemaValidation = true }
	if _, _, err = renderFiles(files, skipped); err != nil {
		t.Errorf("%v", err)
	}
}

// TestWhatIsUnstableIsNamed calls each function that answers otherwise each time.
func TestWhatIsUnstableIsNamed(t *testing.T) {
	calls := map[string]string{
		"now": "now", "ago": "ago 1", "date": `date "2006" "no date"`, "dateInZone": `dateInZone "2006" "" "UTC"`,
		"date_in_zone": `date_in_zone "2006" "" "UTC"`, "htmlDate": `htmlDate ""`, "htmlDateInZone": `htmlDateInZone "" "UTC"`,
		"randAlphaNum": "randAlphaNum 5", "randAlpha": "randAlpha 5", "randAscii": "randAscii 5 | quote", "randNumeric": "randNumeric 5",
		"randBytes": "randBytes 5", "randInt": "randInt 1 5", "shuffle": `shuffle "abc"`, "uuidv4": "uuidv4",
		"genPrivateKey": `genPrivateKey "ed25519"`, "genCA": `(genCA "ca" 1).Cert`, "genCAWithKey": `(genCAWithKey "ca" 1 (genPrivateKey "ecdsa")).Cert`,
		"genSelfSignedCert":        `(genSelfSignedCert "a" nil nil 1).Cert`,
		"genSelfSignedCertWithKey": `(genSelfSignedCertWithKey "a" nil nil 1 (genPrivateKey "ecdsa")).Cert`,
		"genSignedCert":            `(genSignedCert "a" nil nil 1 (genCA "ca" 1)).Cert`,
		"genSignedCertWithKey":     `(genSignedCertWithKey "a" nil nil 1 (genCA "ca" 1) (genPrivateKey "ecdsa")).Cert`,
		"encryptAES":               `encryptAES "k" "text"`, "htpasswd": `htpasswd "a" "b"`, "bcrypt": `bcrypt "a"`,
		"durationRound": `durationRound (toDate "2006" "2020")`,
		"lookup":        `lookup "v1" "Secret" "n" "s" | len`, "getHostByName": `getHostByName "localhost"`,
	}
	for _, name := range slices.Concat(unstableNames, slices.Collect(maps.Keys(dateNames))) {
		if calls[name] == "" {
			t.Errorf("%s is not called here", name)
		}
	}
	for name, call := range calls {
		template := fmt.Sprintf("%sdata:\n  a: {{ if true }}{{ %s | quote }}{{ end }}\n", plainManifest, call)
		done, _, err := renderFiles(app(map[string]string{"templates/a.yaml": template, "templates/b.yaml": plainManifest}), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := name + " in app/templates/a.yaml"; !slices.Contains(done.Unstable, want) {
			t.Errorf("%s: %q", name, done.Unstable)
		}
	}
}

func TestAnAnswerThatIsAnErrorEndsTheRenderWithItsText(t *testing.T) {
	files := app(map[string]string{"templates/a.yaml": `{{ .Capabilities.APIVersions.Has "x/v1" }}`})
	controller := &refusing{Controller: treetest.Controller{Files: files}}
	_, err := Render(tree.New(controller), &protocol.Helm{Chart: protocol.Place{Path: "app"}, ReleaseName: "r"})
	if err == nil || err.Error() != "the cluster does not answer" {
		t.Errorf("%v", err)
	}
}

type refusing struct{ treetest.Controller }

func (r *refusing) Ask(ask protocol.Ask) (protocol.Answer, error) {
	if ask.HasAPIVersion != nil {
		return protocol.Answer{Error: "the cluster does not answer"}, nil
	}
	return r.Controller.Ask(ask)
}

func TestWarningsDoNotQuoteValues(t *testing.T) {
	files := app(map[string]string{"values.yaml": "password: hunter2 (really)\n"})
	done, _, err := renderFiles(files, func(job *protocol.Helm) {
		job.Values = []protocol.NamedText{{Name: "v", Text: "password: {a: 1}\n"}}
	})
	if err != nil || len(done.Warnings) == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, warning := range done.Warnings {
		if strings.Contains(warning, "hunter2") || !strings.Contains(warning, "password") {
			t.Errorf("%q", warning)
		}
	}
}

// The library knows only a part of its version.
func TestTheVersionIsThatOfTheLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "helm.sh/helm/v4").Output()
	if err != nil || strings.TrimSpace(string(out)) != helmVersion {
		t.Errorf("%q, %v", out, err)
	}
}
