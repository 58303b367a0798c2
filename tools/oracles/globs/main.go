// Records how the libraries that Argo CD uses answer globs and Go's file patterns.
//
//	go run . ../../../crates/api/tests/data
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gobwas/glob"
)

var globs = []string{
	"*", "**", "", "?", "a", "a*", "*a", "a*b", "a?b", "a**b", "*/*", "**/*", "https://*", "https://**", "https://github.com/org/*",
	"https://github.com/org/**", "https://*.example/*/x", "[abc]", "[!abc]", "[a-c]", "[!a-c]", "[a-cx]", "[]", "[!]", "[a", "[a-", "[-a]", "[a-]",
	"[\\]]", "[\\-a]", "[c-a]", "[!!]", "{a,b}", "{a,}", "{,a}", "{a}", "{}", "{a,b", "a}", "a,b", "{a,{b,c}}d", "{a*,b?}c", "x{a,b}{c,d}y", "\\*", "\\\\", "a\\",
	"\\{a\\}", "***", "a***b", "team-*", "!a", "prod-{eu,us}-*", "[a-c]*[x-z]", "é*", "?é", "*.git", "[/]", "[!a]", "a/[!x]/b", "{a/b,c}/*", "]", "a]b", "{[a,b],c}",
}

var texts = []string{
	"", "a", "b", "c", "d", "x", "ab", "abc", "a/b", "a//b", "axb", "a/b/c", "bd", "cd", "ad", "xacy", "xbdy", "*", "\\", "{a}", "a,b", "a}", "team-", "team-1", "team-1/x", "!a", "!",
	"prod-eu-1", "prod-us-x", "prod-ap-1", "https://github.com/org/repo", "https://github.com/org/team/repo", "https://github.com/org/", "https://a.example/b/x", "https://a.b.example/b/x",
	"éa", "aé", "é", "x.git", "/", "]", "-", "[", "a]b", "b1c", "aac", "by", "cz", "a\nb",
}

var files = []string{
	"*", "", "?", "Deployment", "Deploy*", "*Set", "*/*", "[A-Z]*", "[^A-Z]*", "[!a]", "[a-c]", "[a-cx]", "[]", "[]a]", "[a", "[a-", "[-]", "[x-]", "[\\-x]", "\\*", "a\\", "**", "a**b", "a*b*c",
	"*.example.io", "?.example.io", "apps", "", "{a,b}", "[^", "[^]", "*[", "a[", "[b-a]",
}

var names = []string{
	"", "a", "b", "x", "!", "-", "*", "a/b", "abc", "aXbYc", "Deployment", "DaemonSet", "ReplicaSet", "apps", "a.example.io", "a.b.example.io", ".example.io", "{a,b}", "]", "é",
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: go run . DIRECTORY"))
	}
	write("globs.txt", func(out *strings.Builder) {
		for _, separators := range []string{"", "/"} {
			for _, pattern := range globs {
				compiled, err := glob.Compile(pattern, []rune(separators)...)
				for _, text := range texts {
					if strings.ContainsAny(text, "\n\t") {
						continue
					}
					answer := "bad"
					if err == nil {
						answer = fmt.Sprint(compiled.Match(text))
					}
					fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", separators, pattern, text, answer)
					if err != nil {
						break
					}
				}
			}
		}
	})
	write("file_match.txt", func(out *strings.Builder) {
		for _, pattern := range files {
			for _, name := range names {
				matched, err := filepath.Match(pattern, name)
				answer := fmt.Sprint(matched)
				if err != nil {
					answer = "bad"
				}
				fmt.Fprintf(out, "%s\t%s\t%s\n", pattern, name, answer)
			}
		}
	})
}

func write(name string, fill func(*strings.Builder)) {
	var out strings.Builder
	out.WriteString("# Recorded by tools/oracles/globs.\n")
	fill(&out)
	if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(out.String()), 0o644); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
