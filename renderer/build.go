package main

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"trueup.dev/renderer/protocol"
)

// buildNote is where the linker keeps the identity of what it built. It follows from the sources and the compiler alone.
const buildNote = ".note.go.buildid"

// buildSize is how much of the hash names a build, in bytes.
const buildSize = 8

// hello is what this program says of itself.
func hello() (protocol.Hello, error) {
	build, err := build()
	if err != nil {
		return protocol.Hello{}, fmt.Errorf("this program cannot read itself: %w", err)
	}
	return protocol.Hello{
		Protocol:  protocol.Version,
		Build:     build,
		Helm:      version("helm.sh/helm/v4"),
		Kustomize: version("sigs.k8s.io/kustomize/api"),
		Jsonnet:   version("github.com/google/go-jsonnet"),
	}, nil
}

// version is that of a library in this program.
func version(module string) string {
	if information, known := debug.ReadBuildInfo(); known {
		for _, dependency := range information.Deps {
			if dependency.Path == module {
				return strings.TrimPrefix(dependency.Version, "v")
			}
		}
	}
	return ""
}

// build tells two builds of this program apart: what was rendered by another one is not taken for our own.
func build() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	if note, err := note(name); err == nil && len(note) > 0 {
		hash.Write(note)
	} else {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		if _, err := io.Copy(hash, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:buildSize]), nil
}

func note(name string) ([]byte, error) {
	file, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	section := file.Section(buildNote)
	if section == nil {
		return nil, nil
	}
	return section.Data()
}
