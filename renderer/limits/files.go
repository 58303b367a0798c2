package limits

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NoMoreFiles takes from this process, for good, the means to open anything: a file, a connection, or a pipe, without which
// no program is started. What is open stays open. No library that a render runs needs any of them; one that would try, by a
// defect or because somebody has found a way to make it, fails.
func NoMoreFiles() error {
	// The language's own poller opens its files when it is first used, and cannot do without: a pipe uses it.
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("the process cannot open a pipe: %w", err)
	}
	_, _ = reader.Close(), writer.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("the process cannot be kept from opening files: %w", err)
	}
	return nil
}
