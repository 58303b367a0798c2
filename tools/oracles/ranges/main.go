// Records how the library that Argo CD uses reads versions and ranges of versions, and which tags are within which range.
//
//	go run . ../../../crates/git/tests/data/ranges.txt
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"
)

var revisions = []string{
	"main", "HEAD", "master", "v1", "1", "1.2", "v1.2.3", "1.2.3-rc.1", "1.2.3+5", "1.x", "1.2.x", "*", "x", "X", "v1.x", "1.*", "^1", "^1.2", "~1.2", "~> 1.2", ">=1.0", ">= 1.0", ">=1.0 <2.0", ">=1.0, <2.0",
	">=1.0,<2.0", ">=1.0,,<2.0", "1.0 - 2.0", "1.0 -2.0", "1.0- 2.0", "1 || 2", "1.x || 2.x", "|| 2", "release-1.2", "release/1.2", "1.2/x", "feature-x", "refs/heads/1.x", "refs/tags/v1.0", "1234567", "0123456", "abcdef1", "1e23456",
	"01.2", "1.02", "1.2.3.4", "1.2.3.x", ">1", "<1", "=1", "==1", "!=1", "=>1", "=<1", "latest", "v", "vx", "xx", "1x", "x.y", "1.x.y", "1.x.3", "*.2", "1.2.3-", "1.2.3-01", "1.2-beta", "1.x-beta", "dev", "stable", ">", "^", "~",
	" 1.x", "1.x ", "1.2 1.3", "1.2,1.3", "v2.0.0 - v3.0.0", "1.0 - 2.0 || 3.x", "2024-01-01", "2024.01.01", "1.2.3-alpha.beta", "x-branch", "*-0", "1.0 - 2.0 - 3.0", ">1.0 - 2.0",
	"^*", "~*", ">*", "<*", ">=*", "<=*", "!=*", "=*", "^0", "^0.0", "^0.2", "^0.2.3", "^0.0.3", "^1.2.3", "~0.0.0", "~0", "~1", "~1.2.3", "~> 0.2", ">1.2", ">1.2.3", ">=1.2.3", "<1.2", "<2", "<=1", "<=1.2", "<=1.2.3", "!=1.2", "!=1.2.3",
	"^1.2-0", "~1.2-0", ">=1.0-0", ">1-0", "<2-0", "<=1.2-0", "!=1.2-rc.1", "!=1.2.x-rc.1", "=1.2.x-0", "^2.0.0-rc", ">=2.0.0-rc.1 <3", ">=1.0 <2.0 || >=3-0", "1.2.3 - 2", "0.x", "0.0.x", "v1.2.x", "^v1", ">=v1.2", "1.2.3+5 || 2.x", ">= 1.2 !=1.2.4 <1.3",
	"18446744073709551616.x", "1.2.x+build", "^01.2", ">=1.02", ">=1.2.03", "^1.2.3-01", "1 ||", "1||2", "1|2", ">=1.0 ,<2.0", "  ", "~ 1", "v", "^v", "1.2.x-", "1.x.x", "1.1.x-0 <1.2",
}

var tags = []string{
	"0.0.0", "0.0.3", "0.0.4", "0.2.0", "0.2.3", "0.2.4", "0.3.0", "v1", "1.0.0", "1.1", "v1.2.0", "1.2.3", "v1.2.3+5", "1.2.4", "v1.3.0-rc.1", "1.2.0-rc.1", "1.2.5-rc.2", "1.2.5-rc.11", "1.2.5-rc", "1.2.5-1", "1.10.0", "v2.0.0-rc.1", "2.0.0", "2.1.0-beta.2",
	"3.0.0-alpha", "3.0.0", "01.2.3", "1.02", "1.2.3-01", "1.2.3.4", "release-1.2", "vv1", "V1", "1.2.3-", "v", "", "1-rc", "1.2-rc.1", "18446744073709551616.0.0", "1.2.3-rc_1", "latest", "-1", "1.2.3+5+6", "1.2.3+",
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: go run . FILE"))
	}
	var out strings.Builder
	out.WriteString("# Recorded by tools/oracles/ranges. tag: what a name is as a version. range: whether it is one, and the tags within it.\n")
	var versions []*semver.Version
	for _, tag := range tags {
		version, err := semver.NewVersion(tag)
		if err != nil {
			fmt.Fprintf(&out, "tag\t%s\tnone\n", tag)
			continue
		}
		versions = append(versions, version)
		fmt.Fprintf(&out, "tag\t%s\t%s\n", tag, version)
	}
	for _, revision := range revisions {
		_, isVersion := semver.NewVersion(revision)
		constraint, err := semver.NewConstraint(revision)
		if isVersion == nil || err != nil {
			fmt.Fprintf(&out, "range\t%s\tnone\n", revision)
			continue
		}
		var within []string
		for _, version := range versions {
			if constraint.Check(version) {
				within = append(within, version.Original())
			}
		}
		fmt.Fprintf(&out, "range\t%s\t%s\n", revision, strings.Join(within, " "))
	}
	if err := os.WriteFile(os.Args[1], []byte(out.String()), 0o644); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
