package treetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// addressSpace is how much address space a process of hostile tests has, in bytes. Those that pass take a quarter of it; a bomb
// that goes off ends the tests, not the machine.
const addressSpace = 4 << 30

// LimitMemory bounds the address space of this process and of all that it starts from now on. Build first: compilers and
// linkers need more.
func LimitMemory() {
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: addressSpace, Max: addressSpace}); err != nil {
		fmt.Fprintf(os.Stderr, "the address space of these tests cannot be bounded: %v\n", err)
		os.Exit(1)
	}
}

// Tool is the path of a real command, which the `tool` directives of the module name. It is built if it is not in the
// build cache: call it before the tests and their timeout begin.
func Tool(name string) string { return Go("tool", "-n", name) }

// Go is what the go command answers.
func Go(arguments ...string) string {
	out, err := exec.Command("go", arguments...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "go %q: %v\n", arguments, err)
		os.Exit(1)
	}
	return strings.TrimSpace(string(out))
}
