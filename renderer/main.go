// Command trueup-renderer renders Helm charts, Kustomize overlays and Jsonnet files for Trueup, by the tools' own libraries.
//
// It has no network and no files: whatever it reads it asks of the controller that started it, over its standard input and
// output. It is started with no environment to speak of, and clears what is left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
	// Dates are the same wherever this runs.
	_ "time/tzdata"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/resource"

	"trueup.dev/renderer/helm"
	"trueup.dev/renderer/jsonnet"
	"trueup.dev/renderer/kustomize"
	"trueup.dev/renderer/limits"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/server"
	"trueup.dev/renderer/tree"
	"trueup.dev/renderer/worker"
)

const usage = `trueup-renderer renders Helm charts, Kustomize overlays and Jsonnet files for Trueup.

Usage:
  trueup-renderer                        one worker, on standard input and output
  trueup-renderer --listen unix:/PATH    a server: one worker for each connection of a socket

Flags:
`

func main() {
	complaints := os.Stderr
	if err := run(os.Args[1:], complaints); err != nil {
		fmt.Fprintf(complaints, "trueup-renderer: %v\n", err)
		os.Exit(worker.Broken)
	}
}

func run(arguments []string, complaints *os.File) error {
	// Nothing that is rendered sees what is in the environment.
	os.Clearenv()
	time.Local = time.UTC
	slog.SetDefault(slog.New(helm.Logs()))

	flags := flag.NewFlagSet("trueup-renderer", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	listen := flags.String("listen", "", "serve on this socket, such as `unix:/run/trueup/renderer.sock`")
	workers := flags.Int("workers", server.DefaultWorkers, "with --listen: how many connections are served at once")
	memory := flags.String("memory-limit", defaultMemory(), "how much `memory` one worker may use; whoever starts a worker may say it in GOMEMLIMIT as well")
	version := flags.Bool("version", false, "print the versions and exit")
	err := flags.Parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; --help lists what there is", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag; --help lists what there is", flags.Arg(0))
	}
	limit, err := memoryLimit(*memory)
	if err != nil {
		return err
	}
	if *workers < 1 {
		return fmt.Errorf("--workers is at least 1, not %d", *workers)
	}
	if *listen != "" {
		return serve(*listen, *workers, *memory)
	}
	greeting, err := hello()
	if err != nil {
		return err
	}
	if *version {
		fmt.Printf("trueup-renderer %s (helm %s, kustomize %s, go-jsonnet %s, protocol %d)\n",
			greeting.Build, greeting.Helm, greeting.Kustomize, greeting.Jsonnet, greeting.Protocol)
		return nil
	}
	out, err := takeOutput()
	if err != nil {
		return err
	}
	if err := limits.NoMoreFiles(); err != nil {
		return err
	}
	return (&worker.Worker{Hello: greeting, Render: render, Memory: limit, Complaints: complaints, Exit: os.Exit}).Run(os.Stdin, out)
}

// render hands a job to the tool that it is for.
func render(job *protocol.Render, files *tree.Client) (*protocol.Done, error) {
	switch {
	case job.Helm != nil:
		return helm.Render(files, job.Helm)
	case job.Jsonnet != nil:
		return jsonnet.Render(files, job.Jsonnet)
	case job.Kustomize != nil:
		return kustomize.Render(files, job.Kustomize)
	default:
		return nil, errors.New("the controller asks for a kind of render that this renderer does not know: both are to be of one version")
	}
}

// defaultMemory is what GOMEMLIMIT says: Go has read it before it was cleared.
func defaultMemory() string {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		limit = limits.DefaultMemory
	}
	return resource.NewQuantity(limit, resource.BinarySI).String()
}

func memoryLimit(text string) (uint64, error) {
	quantity, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("--memory-limit is an amount such as 512Mi, not %q", text)
	}
	if quantity.Value() < limits.LeastMemory {
		return 0, fmt.Errorf("--memory-limit is at least %d MiB, not %q", limits.LeastMemory>>20, text)
	}
	return uint64(quantity.Value()), nil
}

// serve runs until somebody asks it to end.
func serve(address string, workers int, memory string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	command := func() *exec.Cmd {
		child := exec.Command(program, "--memory-limit", memory)
		child.Env = []string{}
		child.Stderr = os.Stderr
		return child
	}
	return (&server.Server{Address: address, Workers: workers, Command: command}).Run(ctx)
}

// takeOutput keeps standard output for frames, and drops what libraries print: Kustomize complains of old fields at each
// build, and nobody knows what others quote. What the language itself says when it breaks off still goes to standard error.
func takeOutput() (*os.File, error) {
	own, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("standard output cannot be used: %w", err)
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("what libraries print cannot be dropped: %w", err)
	}
	os.Stdout, os.Stderr = nowhere, nowhere
	if err := unix.Dup2(2, 1); err != nil {
		return nil, fmt.Errorf("standard output cannot be set aside: %w", err)
	}
	return os.NewFile(uintptr(own), "frames"), nil
}
