package helm

import (
	"fmt"
	"strings"

	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/strvals"

	"trueup.dev/renderer/protocol"
)

// mergeValues is what `--values`, `--set`, `--set-string` and `--set-file` make together, in this order whatever theirs is.
func mergeValues(job *protocol.Helm) (map[string]any, error) {
	values := map[string]any{}
	for _, document := range job.Values {
		parsed, err := chartloader.LoadValues(strings.NewReader(document.Text))
		if err != nil {
			return nil, fmt.Errorf("the values %q: %w", document.Name, err)
		}
		values = chartloader.MergeMaps(values, parsed)
	}
	for _, parameter := range job.Set {
		if parameter.ForceString {
			continue
		}
		if err := strvals.ParseInto(assignment(parameter), values); err != nil {
			return nil, fmt.Errorf("the parameter %q: %w", parameter.Name, err)
		}
	}
	for _, parameter := range job.Set {
		if !parameter.ForceString {
			continue
		}
		if err := strvals.ParseIntoString(assignment(parameter), values); err != nil {
			return nil, fmt.Errorf("the parameter %q: %w", parameter.Name, err)
		}
	}
	for _, file := range job.SetFile {
		text := func([]rune) (any, error) { return file.Text, nil }
		// What stands for the file's name is never looked at.
		if err := strvals.ParseIntoFile(file.Name+"=file", values, text); err != nil {
			return nil, fmt.Errorf("the file parameter %q: %w", file.Name, err)
		}
	}
	return values, nil
}

// assignment is a parameter as `--set` takes it. Commas would begin the next one, except in a list: {a,b}.
func assignment(parameter protocol.Parameter) string {
	value := parameter.Value
	if !strings.HasPrefix(value, "{") || !strings.HasSuffix(value, "}") {
		value = escapeCommas(value)
	}
	return parameter.Name + "=" + value
}

// escapeCommas puts a backslash before each comma that has none.
func escapeCommas(value string) string {
	var escaped strings.Builder
	last := rune(0)
	for _, letter := range value {
		if letter == ',' && last != '\\' {
			escaped.WriteByte('\\')
		}
		escaped.WriteRune(letter)
		last = letter
	}
	return escaped.String()
}
