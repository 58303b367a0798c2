// Package limits keeps a render within its memory, its size, and what it has open.
//
// The time that a render may take is the controller's: it kills a worker that is late.
package limits

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// DefaultMemory is how much a worker may use, in bytes: the largest frame, decoded, with a chart rendered from it, fits
	// several times over what the largest charts take.
	DefaultMemory = 512 << 20
	// LeastMemory is below what an idle worker needs, in bytes.
	LeastMemory = 64 << 20
	// collectAt is the part of the memory, in percent, at which the garbage collector works harder.
	collectAt = 90
	// interval is how often a running render is looked at. What it can take in between is some tens of MiB.
	interval = 10 * time.Millisecond
)

// Memory watches over what this process uses while something runs; at rest nothing moves.
type Memory struct {
	limit    uint64
	exceeded func(used uint64)
}

// NewMemory sets the collector's goal, and names what happens when the limit is passed nevertheless: `exceeded` is called
// from another goroutine while what runs still does, and is to end the process.
func NewMemory(limit uint64, exceeded func(used uint64)) *Memory {
	debug.SetMemoryLimit(int64(limit / 100 * collectAt))
	return &Memory{limit: limit, exceeded: exceeded}
}

// During watches while `run` runs.
func (m *Memory) During(run func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticks := time.NewTicker(interval)
		defer ticks.Stop()
		for {
			if used := used(); used > m.limit {
				m.exceeded(used)
				return
			}
			select {
			case <-over:
				return
			case <-ticks.C:
			}
		}
	})
	defer watching.Wait()
	defer close(over)
	run()
}

// used is what the collector's goal counts: all memory that was taken from the system and not given back.
func used() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
