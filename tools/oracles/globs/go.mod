module trueup.dev/tools/oracles/globs

go 1.26

require (
	github.com/Masterminds/semver/v3 v3.4.0
	github.com/gobwas/glob v1.0.0
)
