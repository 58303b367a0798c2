package helm

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"

	"trueup.dev/renderer/protocol"
)

// schemaAddress is what the schema of a chart is called while it is compiled; what is relative in it is relative to this.
const schemaAddress = "file:///values.schema.json"

// checkSchemas holds values against the schemas of a chart and its subcharts.
func (r *render) checkSchemas(loaded *chart.Chart, values any) error {
	sources := &schemaSources{render: r}
	var refused []string
	r.checkSchema(loaded, values, sources, &refused)
	if len(sources.needs) > 0 {
		return &protocol.NeedsError{Needs: sources.needs}
	}
	if len(refused) > 0 {
		return fmt.Errorf("the values do not meet the schema: %s; correct the values, or set helm.skipSchemaValidation", strings.Join(refused, "; "))
	}
	return nil
}

func (r *render) checkSchema(loaded *chart.Chart, values any, sources *schemaSources, refused *[]string) {
	table, isTable := asTable(values)
	if !isTable {
		*refused = append(*refused, fmt.Sprintf("chart %q: its values are to be a map, not %T", loaded.Name(), values))
		return
	}
	if loaded.Schema != nil {
		if err := validate(table, loaded.Schema, sources); err != nil {
			*refused = append(*refused, fmt.Sprintf("chart %q: %v", loaded.Name(), err))
		}
	}
	for _, subchart := range loaded.Dependencies() {
		if below := table[subchart.Name()]; below != nil {
			r.checkSchema(subchart, below, sources, refused)
		}
	}
}

// validate holds values against one schema.
func validate(values map[string]any, text []byte, sources *schemaSources) (err error) {
	// The library panics on some schemas; Helm catches it likewise.
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("values.schema.json cannot be used: %v", reason)
		}
	}()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("values.schema.json is no JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(sources)
	if err := compiler.AddResource(schemaAddress, schema); err != nil {
		return fmt.Errorf("values.schema.json: %w", err)
	}
	validator, err := compiler.Compile(schemaAddress)
	if err != nil {
		return fmt.Errorf("values.schema.json: %w", err)
	}
	if err := validator.Validate(values); err != nil {
		lines := strings.TrimPrefix(err.Error(), fmt.Sprintf("jsonschema validation failed with '%s#'\n", schemaAddress))
		return errors.New(strings.ReplaceAll(strings.TrimSpace(lines), "\n", ", "))
	}
	return nil
}

// schemaSources finds the schemas that others refer to: only among what was fetched.
type schemaSources struct {
	render *render
	needs  []protocol.Need
}

// Load returns the schema at an address.
func (s *schemaSources) Load(address string) (any, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch parsed.Scheme {
	case "http", "https":
		return s.remote(address)
	case "urn":
		// As Helm: a name that nobody can look up permits everything.
		s.render.warn("a schema refers to %q, which nobody can look up: that part of it is not checked", address)
		return true, nil
	default:
		return nil, fmt.Errorf("it refers to %q, which is no part of the chart", address)
	}
}

func (s *schemaSources) remote(address string) (any, error) {
	need := protocol.Need{Resource: &protocol.ResourceNeed{URL: address}}
	place, found := protocol.Find(s.render.job.Fetched, need)
	if !found {
		s.needs = protocol.AddNeed(s.needs, need)
		return nil, fmt.Errorf("%q is to be fetched first", address)
	}
	text, err := s.render.files.Read(place.Root, place.Path)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

func asTable(values any) (map[string]any, bool) {
	switch table := values.(type) {
	case common.Values:
		return table, true
	case map[string]any:
		return table, true
	default:
		return nil, false
	}
}
