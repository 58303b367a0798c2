package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
)

const (
	// maxUnpackedBytes is what all archives of one render may unpack to, those inside others included: Helm's own limit
	// for one.
	maxUnpackedBytes = 100 << 20
	// maxUnpackedFiles is how many entries they may have together. Empty ones cost no bytes, but memory.
	maxUnpackedFiles = 20_000
)

// budget is what is left to unpack.
type budget struct {
	bytes int64
	files int
}

// unpack reads a packaged chart into memory. Its names are those below its only top directory.
func (l *loader) unpack(name string, data []byte) ([]*archive.BufferedFile, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("it is no packaged chart: %w (a Git LFS pointer? an interrupted download?)", err)
	}
	defer unzipped.Close()
	// What the format itself costs is unpacked too: entries without content, padding, names of any length.
	reader := tar.NewReader(&bounded{reader: unzipped, budget: &l.budget})
	var files []*archive.BufferedFile
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it cannot be unpacked: %w", err)
		}
		if l.budget.files--; l.budget.files < 0 {
			return nil, fmt.Errorf("the packaged charts hold more than %d files", maxUnpackedFiles)
		}
		if header.FileInfo().IsDir() || header.Typeflag == tar.TypeXGlobalHeader || header.Typeflag == tar.TypeXHeader {
			continue
		}
		inside, err := inner(header.Name)
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: %q is a link or no plain file, which counts as empty", name, header.Name))
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return nil, fmt.Errorf("it cannot be unpacked: %w", err)
		}
		files = append(files, &archive.BufferedFile{Name: inside, Data: bytes.TrimPrefix(content, byteOrderMark)})
	}
	if len(files) == 0 {
		return nil, errors.New("it is an empty archive")
	}
	return files, nil
}

// inner is the name of an entry below the top directory, by Helm's rules.
func inner(name string) (string, error) {
	// Packed on Windows.
	if strings.ContainsRune(name, '\\') {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	top, below, _ := strings.Cut(name, "/")
	if top == "Chart.yaml" {
		return "", errors.New("its Chart.yaml is not in a directory")
	}
	cleaned := path.Clean(below)
	drive := len(cleaned) > 2 && cleaned[1] == ':' && cleaned[2] == '/'
	if path.IsAbs(below) || cleaned == "." || strings.HasPrefix(cleaned, "..") || drive {
		return "", fmt.Errorf("its entry %q leads out of the chart", name)
	}
	return cleaned, nil
}

// bounded reads until the budget is spent.
type bounded struct {
	reader io.Reader
	budget *budget
}

func (b *bounded) Read(into []byte) (int, error) {
	read, err := b.reader.Read(into)
	if b.budget.bytes -= int64(read); b.budget.bytes < 0 {
		return 0, fmt.Errorf("the packaged charts unpack to more than %d MiB", maxUnpackedBytes>>20)
	}
	return read, err
}
