package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sync"
)

// transport is the only HTTP of this process: it answers with files that were fetched before, and opens no connection.
//
// Kustomize reads a URL wherever it takes the name of a file, by the default transport of the language's own client; there is
// no other way to hand it one. Outside of a build every request is refused, Kustomize's or not.
type transport struct {
	lock sync.Mutex
	// files is set while a build runs.
	files func(*url.URL) (text []byte, found bool, err error)
}

var remoteFiles transport

// seal takes from the process what a render must never have: the way to other hosts, and to other programs (Kustomize looks
// for git on the path). Nothing in here is meant to reach either; this makes sure of it.
var seal = sync.OnceValue(func() error {
	http.DefaultTransport = &remoteFiles
	if err := os.Setenv("PATH", ""); err != nil {
		return fmt.Errorf("the search path of programs cannot be emptied: %w", err)
	}
	return nil
})

// during answers from `files` while `build` runs.
func (t *transport) during(files func(*url.URL) ([]byte, bool, error), build func() error) error {
	t.set(files)
	defer t.set(nil)
	return build()
}

func (t *transport) set(files func(*url.URL) ([]byte, bool, error)) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.files = files
}

// RoundTrip answers a request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.lock.Lock()
	files := t.files
	t.lock.Unlock()
	if files == nil || request.Method != http.MethodGet {
		return nil, errors.New("the renderer has no network")
	}
	text, found, err := files(request.URL)
	status := http.StatusOK
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status = http.StatusNotFound
	case err != nil:
		return nil, err
	case !found:
		return nil, errors.New("it is to be fetched first")
	}
	return &http.Response{
		StatusCode: status,
		Status:     fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{},
		Body:          io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)),
		Request:       request,
	}, nil
}
