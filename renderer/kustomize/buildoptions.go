package kustomize

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
)

// buildOptions are the flags of `kustomize build` that the settings may hold.
type buildOptions struct {
	helm            bool
	helmKubeVersion string
	helmAPIVersions []string
	restrictions    types.LoadRestrictions
	reorder         krusty.ReorderOption
	managedBy       bool
}

// refused are flags that let a build run programs.
var refused = []string{"enable-alpha-plugins", "enable-exec"}

// parseBuildOptions reads flags as Kustomize's own command does.
func parseBuildOptions(arguments []string) (buildOptions, error) {
	var (
		options                      buildOptions
		restrictor, reorder, command string
		plugins, exec, asUser, debug bool
	)
	flags := pflag.NewFlagSet("kustomize build", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.BoolVar(&options.helm, "enable-helm", false, "")
	flags.StringVar(&options.helmKubeVersion, "helm-kube-version", "", "")
	flags.StringArrayVar(&options.helmAPIVersions, "helm-api-versions", nil, "")
	flags.StringVar(&restrictor, "load-restrictor", types.LoadRestrictionsRootOnly.String(), "")
	flags.StringVar(&reorder, "reorder", string(krusty.ReorderOptionLegacy), "")
	flags.BoolVar(&options.managedBy, "enable-managedby-label", false, "")
	flags.BoolVar(&plugins, "enable-alpha-plugins", false, "")
	flags.BoolVar(&exec, "enable-exec", false, "")
	// These say how programs are run, and none is.
	flags.BoolVar(&asUser, "as-current-user", false, "")
	flags.BoolVar(&debug, "helm-debug", false, "")
	flags.StringVar(&command, "helm-command", "helm", "")
	if err := flags.Parse(arguments); err != nil {
		return options, fmt.Errorf("kustomize.buildOptions: %w; known are %s", err, known(flags))
	}
	switch {
	case flags.NArg() > 0:
		return options, fmt.Errorf("kustomize.buildOptions: %q is no option; known are %s", flags.Arg(0), known(flags))
	case plugins || exec:
		return options, errors.New("kustomize.buildOptions: --enable-alpha-plugins and --enable-exec let a repository run programs, " +
			"which this renderer never does; take them out, and render with a config management plugin what needs them")
	}
	switch restrictor {
	case types.LoadRestrictionsNone.String():
		options.restrictions = types.LoadRestrictionsNone
	case types.LoadRestrictionsRootOnly.String(), "":
		options.restrictions = types.LoadRestrictionsRootOnly
	default:
		return options, fmt.Errorf("kustomize.buildOptions: --load-restrictor is %q; it can be %s or %s", restrictor,
			types.LoadRestrictionsNone, types.LoadRestrictionsRootOnly)
	}
	options.reorder = krusty.ReorderOption(reorder)
	if !flags.Changed("reorder") {
		options.reorder = krusty.ReorderOptionUnspecified
	} else if options.reorder != krusty.ReorderOptionLegacy && options.reorder != krusty.ReorderOptionNone {
		return options, fmt.Errorf("kustomize.buildOptions: --reorder is %q; it can be %s or %s", reorder,
			krusty.ReorderOptionLegacy, krusty.ReorderOptionNone)
	}
	return options, nil
}

func known(flags *pflag.FlagSet) string {
	var names []string
	flags.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(refused, flag.Name) {
			names = append(names, "--"+flag.Name)
		}
	})
	return strings.Join(names, ", ")
}
