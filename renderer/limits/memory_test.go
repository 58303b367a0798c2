package limits

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestWhatTakesTooMuchIsNoticedWhileItRuns(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	noticed := make(chan uint64, 1)
	memory := NewMemory(LeastMemory, func(used uint64) { noticed <- used })
	memory.During(func() {
		hoard := make([]byte, 2*LeastMemory)
		for index := range hoard {
			hoard[index] = 1
		}
		if used := <-noticed; used <= LeastMemory {
			t.Errorf("noticed at %d bytes", used)
		}
		runtime.KeepAlive(hoard)
	})
}

func TestWhatTakesLittleEndsInPeace(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	runtime.GC()
	debug.FreeOSMemory()
	ran := false
	NewMemory(8<<30, func(used uint64) { t.Errorf("noticed at %d bytes", used) }).During(func() { ran = true })
	if !ran {
		t.Error("it did not run")
	}
}
