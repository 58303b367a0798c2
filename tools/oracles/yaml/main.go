// Yaml records what sigs.k8s.io/yaml makes of YAML texts, as test data.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	goyaml "go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// read is a text and what Go reads in it: nothing if it refuses the text. It is partial if Go stops after a first document
// and does not tell that the rest is malformed.
type read struct {
	Text    string  `json:"text,omitempty"`
	Base64  string  `json:"base64,omitempty"`
	JSON    *string `json:"json,omitempty"`
	Partial bool    `json:"partial,omitempty"`
}

// documents is a text and the documents that Kubernetes finds in it.
type documents struct {
	Text      string   `json:"text"`
	Documents []string `json:"documents"`
	Error     bool     `json:"error,omitempty"`
}

// printed is a value and the YAML that Go prints for it.
type printed struct {
	JSON string `json:"json"`
	YAML string `json:"yaml"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "Usage: go run . DIRECTORY")
		os.Exit(2)
	}
	dir := os.Args[1]
	write(dir, "yaml-read.json", readAll(append(readCases(), randomTexts(1200)...)))
	write(dir, "yaml-documents.json", splitAll(documentCases))
	write(dir, "yaml-print.json", printAll(append(printCases(), randomValues(600)...)))
}

func readAll(texts []string) []read {
	var all []read
	for _, text := range texts {
		one := read{Text: text}
		if !utf8.ValidString(text) {
			one = read{Base64: base64.StdEncoding.EncodeToString([]byte(text))}
		}
		// Kubernetes ends the last line before it parses.
		if text != "" && !strings.HasSuffix(text, "\n") && utf8.ValidString(text) {
			text += "\n"
		}
		if answer, err := yaml.YAMLToJSON([]byte(text)); err == nil {
			answer := string(answer)
			one.JSON = &answer
			one.Partial = malformed(text)
		}
		all = append(all, one)
	}
	return all
}

// malformed tells whether any document of a text is refused.
func malformed(text string) bool {
	decoder := goyaml.NewDecoder(bytes.NewReader([]byte(text)))
	for {
		var document any
		if err := decoder.Decode(&document); err != nil {
			return !errors.Is(err, io.EOF)
		}
	}
}

func splitAll(texts []string) []documents {
	var all []documents
	for _, text := range texts {
		one := documents{Text: text, Documents: []string{}}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
		for {
			var raw runtime.RawExtension
			if err := decoder.Decode(&raw); err != nil {
				one.Error = err.Error() != "EOF"
				break
			}
			document := bytes.TrimSpace(raw.Raw)
			if len(document) > 0 && !bytes.Equal(document, []byte("null")) {
				one.Documents = append(one.Documents, string(document))
			}
		}
		all = append(all, one)
	}
	return all
}

func printAll(values []any) []printed {
	var all []printed
	for _, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err)
		}
		answer, err := yaml.Marshal(value)
		if err != nil {
			continue
		}
		all = append(all, printed{JSON: string(text), YAML: string(answer)})
	}
	return all
}

// write puts one entry on a line, so that changes can be read.
func write[T any](dir, name string, entries []T) {
	var text bytes.Buffer
	text.WriteString("[\n")
	for at, entry := range entries {
		line, err := json.Marshal(entry)
		if err != nil {
			panic(err)
		}
		text.Write(line)
		if at+1 < len(entries) {
			text.WriteByte(',')
		}
		text.WriteByte('\n')
	}
	text.WriteString("]\n")
	if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o644); err != nil {
		panic(err)
	}
}
