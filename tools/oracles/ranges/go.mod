module trueup.dev/tools/oracles/ranges

go 1.26

require github.com/Masterminds/semver/v3 v3.4.0
