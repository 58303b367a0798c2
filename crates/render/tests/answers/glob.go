//go:build ignore

// Records what gobwas/glob, by which Argo CD matches include and exclude, answers:
// go mod init answers && go get github.com/gobwas/glob@v0.2.3 && go run glob.go > glob.jsonl
package main

import (
	"encoding/json"
	"github.com/gobwas/glob"
	"os"
)

func main() {
	patterns := []string{"*", "**", "*.yaml", "*.{yaml,yml}", "{a,b}.yaml", "{a,b/*}.yaml", "sub/*", "sub/**", "sub/**/a.yaml", "**/a.yaml", "sub*a.yaml", "su/*/a.yaml", "?.yaml", "[ab].yaml", "[!ab].yaml", "[a-c].yaml", "[!a-c].yaml", "[a-zA-Z].yaml", "[abc", "{a,b", "a}.yaml", "a,b.yaml", "\\*.yaml", "\\{a\\}", "", "{,sub/}a.yaml", "{a,{b,c}}.yaml", "config.{yaml,json}", "**/{a,b}.yaml", "a]b", "[]a].yaml", "[a-].yaml", "[-a].yaml", "[!].yaml", "[].yaml", "[^a].yaml", "\\", "a\\", "{}", "{}.yaml", "{*,sub/*}.json", "{**/a,b}.yaml", "sub/**/*.yaml", "*a*b*.yaml", "ab*ba", "ä?.yaml", "[ä-ü].yaml", "[z-a].yaml", "{a,}", "{a-b}.yaml", "{[ab],c}.yaml", "x/**/y", "x/*/y", "{x/**/y,z}", "a{b,c}*d", "[a\\]].yaml", "[\\!a].yaml", "a{,b,c}/**/d.yaml", "*/*", "sub?*.yaml", "*?", "a*?c"}
	texts := []string{"", "a.yaml", "b.yaml", "c.yaml", "d.yaml", "-.yaml", "].yaml", "!.yaml", "^.yaml", "a.yml", "a.json", "sub/a.yaml", "sub/x/a.yaml", "su/b/a.yaml", "suba.yaml", "sub/", "sub", "a", "ab", "ba", "aba", "abba", "{a}", "*.yaml", "a}.yaml", "a,b.yaml", "a]b", "b/c.yaml", "config.yaml", "config.json", "xaxbx.yaml", "ää.yaml", "ä.yaml", "é.yaml", ".yaml", "x/y", "x/a/y", "z", "abd", "acxxd", "a/x/d.yaml", "a/d.yaml", "ab/d.yaml", "a-b.yaml", "\\", "ac", "abc", "Z.yaml"}
	type row struct {
		P   string   `json:"pattern"`
		Bad bool     `json:"bad,omitempty"`
		M   []string `json:"matches,omitempty"`
	}
	var rows []row
	for _, p := range patterns {
		g, err := glob.Compile(p)
		r := row{P: p}
		if err != nil {
			r.Bad = true
		} else {
			for _, t := range texts {
				if g.Match(t) {
					r.M = append(r.M, t)
				}
			}
		}
		rows = append(rows, r)
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]any{"texts": texts})
	for _, r := range rows {
		_ = enc.Encode(r)
	}
}
