package kustomize

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"trueup.dev/renderer/protocol"
)

// tokenBytes is how many random bytes name the mounts: too many to guess.
const tokenBytes = 8

// mounts shows the trees of one render as directories side by side: the source's own first, then what was fetched.
//
// The names of the directories are drawn by chance for each render. So a path of one tree can never lead into another,
// whatever `..` it holds: what is not below a mount does not exist. Users never see these names; see readable.
type mounts struct {
	token  string
	mounts []mount
	named  *regexp.Regexp
}

// mount is one tree. What several URLs of one repository stand for is mounted once for each, as Kustomize clones it.
type mount struct {
	root string
	// url is where it was fetched from and path what the URL means in the tree; empty for the source's own.
	url, path string
}

func newMounts(own string, fetched []protocol.Fetched) (*mounts, error) {
	random := make([]byte, tokenBytes)
	if _, err := rand.Read(random); err != nil {
		return nil, fmt.Errorf("no random bytes are to be had: %w", err)
	}
	m := &mounts{token: "tree" + hex.EncodeToString(random), mounts: []mount{{root: own}}}
	for _, one := range fetched {
		if one.Need.Resource != nil {
			m.mounts = append(m.mounts, mount{root: one.Root, url: one.Need.Resource.URL, path: one.Path})
		}
	}
	m.named = regexp.MustCompile(`(?:/|(?:\.\./)+)` + m.token + `-(\d+)((?:/[^\s'",:;()]*)?)`)
	return m, nil
}

// own is where the source's own tree is mounted.
func (m *mounts) own() string { return m.directory(0) }

func (m *mounts) directory(i int) string { return fmt.Sprintf("/%s-%d", m.token, i) }

// fetched is the file or directory that a URL stands for. Same tells which URL is the one.
func (m *mounts) fetched(same func(url string) bool) (name string, found bool) {
	for i, one := range m.mounts {
		if i > 0 && same(one.url) {
			return path.Join(m.directory(i), one.path), true
		}
	}
	return "", false
}

// place tells which tree and which path in it an absolute, cleaned name stands for.
func (m *mounts) place(name string) (protocol.Place, bool) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	number, found := strings.CutPrefix(first, m.token+"-")
	if !found {
		return protocol.Place{}, false
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(m.mounts) {
		return protocol.Place{}, false
	}
	return protocol.Place{Root: m.mounts[i].root, Path: rest}, true
}

// remote takes a path that has a mount of something fetched in it apart: its URL and the path in that tree.
func (m *mounts) remote(name string) (url, inside string, found bool) {
	match := m.named.FindStringSubmatch(name)
	if match == nil {
		return "", "", false
	}
	i, err := strconv.Atoi(match[1])
	if err != nil || i <= 0 || i >= len(m.mounts) {
		return "", "", false
	}
	return m.mounts[i].url, path.Clean("." + match[2]), true
}

// readable writes the paths in a message as users know them, and takes credentials out of URLs.
func (m *mounts) readable(text string) string {
	text = m.named.ReplaceAllStringFunc(text, func(name string) string {
		match := m.named.FindStringSubmatch(name)
		inside := strings.TrimPrefix(match[2], "/")
		if inside == "" {
			inside = "."
		}
		if url, _, remote := m.remote(name); remote {
			return fmt.Sprintf("%s (of %s)", inside, url)
		}
		return inside
	})
	return userinfo.ReplaceAllString(text, "://")
}

// userinfo is the part of a URL that may hold a password.
var userinfo = regexp.MustCompile(`://[^/@\s'"]+@`)
