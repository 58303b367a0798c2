package kustomize

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/kustomize/v5/commands/edit"
	"sigs.k8s.io/yaml"

	"trueup.dev/renderer/protocol"
)

// edits puts an Application's options into the kustomization that is built, by Kustomize's own `edit` commands and in the
// order in which Argo CD runs them. So what conflicts there conflicts here.
type edits struct {
	files   *fileSystem
	remotes *remotes
	options options
	// shortened: see shorten.
	shortened bool
	// warnings are about options that Kustomize leaves out.
	warnings []string
}

// apply edits the file system's copy of the kustomization. It leaves the repository's as it is.
func (e *edits) apply() error {
	for _, step := range []struct {
		option string
		apply  func() error
	}{
		{"namePrefix", e.text("nameprefix", e.options.NamePrefix)},
		{"nameSuffix", e.text("namesuffix", e.options.NameSuffix)},
		{"images", e.list(e.options.Images, "set", "image")},
		{"replicas", e.list(e.replicas(), "set", "replicas")},
		{"commonLabels", e.list(pairs(e.options.CommonLabels), e.labels()...)},
		{"commonAnnotations", e.list(pairs(e.options.CommonAnnotations), e.annotations()...)},
		{"namespace", e.text("namespace", e.options.Namespace)},
		{"patches", e.patches},
		{"components", e.components},
	} {
		if err := step.apply(); err != nil {
			return fmt.Errorf("the Application's kustomize.%s cannot be put into the kustomization of '%s': %w", step.option, e.files.home, err)
		}
	}
	return nil
}

// shorten puts the kustomization on one line before the first command looks through its lines. One that is missing or wrong
// is the command's to report.
func (e *edits) shorten() {
	if e.shortened {
		return
	}
	e.shortened = true
	name, err := e.kustomization()
	if err != nil {
		return
	}
	if text, err := e.files.ReadFile(name); err == nil {
		_ = e.files.WriteFile(name, text)
	}
}

func (e *edits) run(arguments ...string) error {
	e.shorten()
	provider := provider.NewDefaultDepProvider()
	command := edit.NewCmdEdit(e.files, provider.GetFieldValidator(), provider.GetResourceFactory(), io.Discard)
	command.SetArgs(arguments)
	command.SetOut(io.Discard)
	command.SetErr(io.Discard)
	command.SilenceErrors = true
	command.SilenceUsage = true
	return command.Execute()
}

func (e *edits) text(what, value string) func() error {
	return func() error {
		if value == "" {
			return nil
		}
		return e.run("set", what, "--", value)
	}
}

func (e *edits) list(values []string, arguments ...string) func() error {
	return func() error {
		if len(values) == 0 {
			return nil
		}
		// After -- nothing is taken for a flag.
		return e.run(slices.Concat(arguments, []string{"--"}, values)...)
	}
}

func (e *edits) replicas() []string {
	var arguments []string
	for _, one := range e.options.Replicas {
		arguments = append(arguments, fmt.Sprintf("%s=%d", one.Name, one.Count))
	}
	return arguments
}

func (e *edits) labels() []string {
	arguments := []string{"add", "label"}
	if e.options.ForceCommonLabels {
		arguments = append(arguments, "--force")
	}
	if e.options.LabelWithoutSelector {
		arguments = append(arguments, "--without-selector")
	}
	if e.options.LabelIncludeTemplates {
		arguments = append(arguments, "--include-templates")
	}
	return arguments
}

func (e *edits) annotations() []string {
	if e.options.ForceCommonAnnotations {
		return []string{"add", "annotation", "--force"}
	}
	return []string{"add", "annotation"}
}

func pairs(values map[string]string) []string {
	var arguments []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		arguments = append(arguments, key+":"+values[key])
	}
	return arguments
}

// patches has no command: they are appended to the file, as Argo CD does.
func (e *edits) patches() error {
	if len(e.options.Patches) == 0 {
		return nil
	}
	name, err := e.kustomization()
	if err != nil {
		return err
	}
	text, err := e.files.ReadFile(name)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := yaml.Unmarshal(text, &fields); err != nil {
		return err
	}
	if fields == nil {
		fields = map[string]any{}
	}
	patches, isList := fields["patches"].([]any)
	if fields["patches"] != nil && !isList {
		return fmt.Errorf("its patches are no list")
	}
	for _, one := range e.options.Patches {
		patches = append(patches, one)
	}
	fields["patches"] = patches
	if text, err = yaml.Marshal(fields); err != nil {
		return err
	}
	return e.files.WriteFile(name, text)
}

func (e *edits) kustomization() (string, error) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		kind, err := e.files.kind(name)
		if err != nil {
			return "", err
		}
		if kind == protocol.File {
			return name, nil
		}
	}
	return "", fmt.Errorf("there is none; it is a file called %s", konfig.DefaultKustomizationFileName())
}

func (e *edits) components() error {
	var components []string
	for _, component := range e.options.Components {
		remote := isGit(component)
		if e.options.IgnoreMissingComponents {
			// The directory is looked for in the repository alone.
			if remote {
				e.warnings = append(e.warnings, fmt.Sprintf("the component %s is left out: with ignoreMissingComponents only components of the repository are added",
					component))
				continue
			}
			kind, err := e.files.kind(path.Join(e.files.home, component))
			if err != nil {
				return err
			}
			if kind == protocol.Absent {
				continue
			}
		}
		if remote {
			mounted, err := e.remotes.local(e.files.home, component, false)
			if err != nil {
				return err
			}
			if mounted == lacking {
				// The answer is what the build needs; until then it can do without.
				continue
			}
			component = mounted
		}
		components = append(components, component)
	}
	return e.list(components, "add", "component")()
}
