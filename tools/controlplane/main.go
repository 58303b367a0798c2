// Controlplane is a real Kubernetes control plane in one binary: a subcommand per component, and `up`, which runs them
// all as its children for tests and for the demo.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const usage = `Usage:
  controlplane up --dir DIR [--user NAME=TOKEN[:GROUP]]... [--nodes N] [--metrics] [--parent-stdin]
  controlplane COMPONENT [FLAGS]

Components: `

func main() {
	// A link named kubectl beside the binary is all that a machine without kubectl needs.
	if filepath.Base(os.Args[0]) == "kubectl" {
		os.Exit(components["kubectl"](os.Args))
	}
	if len(os.Args) < 2 {
		fail()
	}
	name := os.Args[1]
	if name == "up" {
		os.Exit(up(os.Args[2:]))
	}
	run, ok := components[name]
	if !ok {
		fail()
	}
	// Cobra and etcd read the arguments of the process: what follows the subcommand becomes them.
	os.Args = append([]string{name}, os.Args[2:]...)
	os.Exit(run(os.Args))
}

func fail() {
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(os.Stderr, usage+strings.Join(names, ", "))
	os.Exit(2)
}
