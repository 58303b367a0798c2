package helm

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
)

// unstableNames are the functions that answer otherwise each time, or by what is outside the chart.
var unstableNames = []string{
	"now", "ago",
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
	"encryptAES", "htpasswd", "bcrypt",
}

// dateNames are the functions that take the present time for what is no date. The number is that of the argument.
var dateNames = map[string]int{"date": 1, "dateInZone": 1, "date_in_zone": 1, "htmlDate": 0, "htmlDateInZone": 0}

// markName is what every template is made to begin with: it tells which one is being rendered.
const markName = "trueupRendering"

// calls records which unstable functions a render has really called, and in which template.
type calls struct {
	template string
	found    []string
}

// mark makes every template of a chart and its subcharts say that it begins. Nothing is printed by that.
func (c *calls) mark(loaded *chart.Chart) {
	// Aliases of one chart share their files: each gets its own.
	templates := make([]*common.File, 0, len(loaded.Templates))
	for _, file := range loaded.Templates {
		marked := *file
		name := path.Join(loaded.ChartFullPath(), file.Name)
		marked.Data = append([]byte(markOf(name)), file.Data...)
		templates = append(templates, &marked)
	}
	loaded.Templates = templates
	for _, subchart := range loaded.Dependencies() {
		c.mark(subchart)
	}
}

func markOf(name string) string { return fmt.Sprintf("{{%s %q}}", markName, name) }

// firstLine finds a position in the first line of a template.
var firstLine = regexp.MustCompile(`([^\s():]+):1:(\d+)`)

// withoutMark corrects the positions of an error: the mark makes first lines longer.
func withoutMark(text string) string {
	return firstLine.ReplaceAllStringFunc(text, func(position string) string {
		parts := firstLine.FindStringSubmatch(position)
		column := 0
		if _, err := fmt.Sscan(parts[2], &column); err != nil {
			return position
		}
		return fmt.Sprintf("%s:1:%d", parts[1], max(column-len(markOf(parts[1])), 0))
	})
}

// functions are those that take the place of Helm's.
func (c *calls) functions() template.FuncMap {
	functions := template.FuncMap{
		markName: func(name string) string { c.template = name; return "" },
		// Helm's own without a cluster: nothing is found.
		"lookup": func(string, string, string, string) map[string]any { c.note("lookup"); return map[string]any{} },
		// Helm's own without leave to ask: nothing is resolved.
		"getHostByName": func(string) string { c.note("getHostByName"); return "" },
		// Helm's answer in the order of Go's maps, another each time. Any order is right: this one stays.
		"keys":   sortedKeys,
		"values": sortedValues,
	}
	known := sprig.TxtFuncMap()
	for _, name := range unstableNames {
		functions[name] = c.wrap(name, known[name], func([]reflect.Value) bool { return true })
	}
	// Of a time it is how long ago that is.
	functions["durationRound"] = c.wrap("durationRound", known["durationRound"], func(arguments []reflect.Value) bool {
		_, isTime := arguments[0].Interface().(time.Time)
		return isTime
	})
	for name, argument := range dateNames {
		functions[name] = c.wrap(name, known[name], func(arguments []reflect.Value) bool {
			return argument >= len(arguments) || !isDate(arguments[argument])
		})
	}
	return functions
}

// wrap is a function that also tells of being called.
func (c *calls) wrap(name string, function any, isUnstable func([]reflect.Value) bool) any {
	inner := reflect.ValueOf(function)
	return reflect.MakeFunc(inner.Type(), func(arguments []reflect.Value) []reflect.Value {
		if isUnstable(arguments) {
			c.note(name)
		}
		if inner.Type().IsVariadic() {
			return inner.CallSlice(arguments)
		}
		return inner.Call(arguments)
	}).Interface()
}

func (c *calls) note(name string) {
	// What people are told is not what is applied.
	if strings.HasSuffix(c.template, notesSuffix) {
		return
	}
	found := fmt.Sprintf("%s in %s", name, c.template)
	if !slices.Contains(c.found, found) {
		c.found = append(c.found, found)
	}
}

func (c *calls) unstable() []string {
	return append([]string{}, c.found...)
}

// isDate tells whether a date function takes a value for a date.
func isDate(value reflect.Value) bool {
	if value.Kind() == reflect.Interface {
		value = value.Elem()
	}
	if !value.IsValid() {
		return false
	}
	switch value.Interface().(type) {
	case time.Time, *time.Time, int, int32, int64:
		return true
	default:
		return false
	}
}

func sortedKeys(tables ...map[string]any) []string {
	keys := []string{}
	for _, table := range tables {
		keys = append(keys, slices.Sorted(maps.Keys(table))...)
	}
	return keys
}

func sortedValues(table map[string]any) []any {
	values := []any{}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		values = append(values, table[key])
	}
	return values
}
