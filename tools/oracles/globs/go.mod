module trueup.dev/tools/oracles/globs

go 1.26

require github.com/gobwas/glob v1.0.0
