package limits

import "fmt"

// MaxOutput is how much one render may make, in bytes: ten times the largest charts that people run, most of which is
// definitions of custom resources. Encoded, it stays well below what a frame can hold.
const MaxOutput = 32 << 20

// CheckOutput refuses a render of that size, in bytes.
func CheckOutput(size int) error {
	if size > MaxOutput {
		return fmt.Errorf("it renders to %d MiB, the limit is %d: look for a loop in it, or make several applications of it", size>>20, MaxOutput>>20)
	}
	return nil
}
