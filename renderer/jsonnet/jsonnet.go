// Package jsonnet evaluates Jsonnet files, by go-jsonnet.
//
// A program sees the files of its source and nothing else: imports go through the tree client, and what a program traces
// is dropped. Programs are pure, so that nothing here is unstable; one that never ends is ended by the worker's deadline.
// Render is the entry point.
package jsonnet

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-jsonnet"

	"trueup.dev/renderer/limits"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

const (
	// stackMax is how deep calls of a program may be nested, as go-jsonnet's own command has it.
	stackMax = 500
	// traceMax is how many lines of its stack an error shows: it ends up in a condition.
	traceMax = 8
)

// Render evaluates one file. Its result is an object or an array of objects; each becomes a document.
func Render(client *tree.Client, request *protocol.Jsonnet) (*protocol.Done, error) {
	text, err := evaluate(client, request)
	if failure := client.Failure(); failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be evaluated: %s", request.File, strings.TrimSpace(err.Error()))
	}
	if err := limits.CheckOutput(len(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", request.File, err)
	}
	documents, err := split(request.File, text)
	if err != nil {
		return nil, err
	}
	return &protocol.Done{Documents: documents}, nil
}

func evaluate(client *tree.Client, request *protocol.Jsonnet) (string, error) {
	machine := jsonnet.MakeVM()
	machine.MaxStack = stackMax
	machine.ErrorFormatter.SetMaxStackTraceSize(traceMax)
	machine.SetTraceOut(io.Discard)
	machine.Importer(newImporter(client, request.Root, request.Libraries))
	for _, variable := range request.ExternalVariables {
		if variable.Code {
			machine.ExtCode(variable.Name, variable.Value)
		} else {
			machine.ExtVar(variable.Name, variable.Value)
		}
	}
	for _, argument := range request.TopLevelArguments {
		if argument.Code {
			machine.TLACode(argument.Name, argument.Value)
		} else {
			machine.TLAVar(argument.Name, argument.Value)
		}
	}
	return machine.EvaluateFile(request.File)
}

// split takes a result apart into its objects, each as JSON.
func split(file, text string) ([]protocol.Document, error) {
	elements := []json.RawMessage{json.RawMessage(text)}
	if kind(elements[0]) == "an array" {
		if err := json.Unmarshal(elements[0], &elements); err != nil {
			return nil, fmt.Errorf("%s evaluates to what is no JSON: %w", file, err)
		}
		for i, element := range elements {
			if kind := kind(element); kind != "an object" {
				return nil, fmt.Errorf("%s evaluates to an array whose element %d is %s; each is to be an object", file, i, kind)
			}
		}
	} else if kind := kind(elements[0]); kind != "an object" {
		return nil, fmt.Errorf("%s evaluates to %s; it is to be an object or an array of objects", file, kind)
	}
	documents := make([]protocol.Document, len(elements))
	for i, element := range elements {
		documents[i] = protocol.Document{File: file, Text: string(element)}
	}
	return documents, nil
}

// kind is what a value of JSON is, told by how it begins.
func kind(value json.RawMessage) string {
	switch text := strings.TrimSpace(string(value)); {
	case strings.HasPrefix(text, "{"):
		return "an object"
	case strings.HasPrefix(text, "["):
		return "an array"
	case strings.HasPrefix(text, `"`):
		return "a string"
	case text == "null":
		return "null"
	case text == "true" || text == "false":
		return "a boolean"
	default:
		return "a number"
	}
}
