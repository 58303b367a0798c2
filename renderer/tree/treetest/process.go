package treetest

import (
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
func Tool(name string) string {
	out, err := exec.Command("go", "tool", "-n", name).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go tool -n %s: %v: %s\n", name, err, out)
		os.Exit(1)
	}
	return strings.TrimSpace(string(out))
}
