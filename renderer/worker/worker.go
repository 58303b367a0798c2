// Package worker answers the controller: one render at a time, over one pair of pipes.
//
// A worker keeps nothing between two renders. It ends as soon as the controller hangs up, whatever a template is doing.
// Worker.Run is the entry point.
package worker

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"

	"trueup.dev/renderer/limits"
	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree"
)

// Exit codes.
const (
	// Ended: the controller hung up.
	Ended = 0
	// Broken: the conversation made no sense.
	Broken = 1
	// OutOfMemory: a render took more memory than it may. The render was told so before.
	OutOfMemory = 3
)

// Renderer renders a job.
type Renderer func(*protocol.Render, *tree.Client) (*protocol.Done, error)

// Worker is one conversation with the controller.
type Worker struct {
	Hello  protocol.Hello
	Render Renderer
	// Memory is how much this process may use, in bytes.
	Memory uint64
	// Complaints is where defects are written to, for whoever mends them.
	Complaints io.Writer
	// Exit ends the process; it may be called from any goroutine.
	Exit func(code int)
}

// Run talks until the controller hangs up.
func (w *Worker) Run(in io.Reader, out io.Writer) error {
	line := protocol.NewLine(in, out, func(err error) {
		if err != nil {
			fmt.Fprintf(w.Complaints, "trueup-renderer: %v\n", err)
			w.Exit(Broken)
			return
		}
		w.Exit(Ended)
	})
	var done atomic.Bool
	memory := limits.NewMemory(w.Memory, func(used uint64) {
		// Whoever comes second is silent: a render has one end.
		if done.CompareAndSwap(false, true) {
			_ = line.Send(protocol.Outgoing{Failed: &protocol.Failed{Message: fmt.Sprintf(
				"the render needs more than the %d MiB of memory that it may use (%d MiB so far): look for a loop or for very large files in it, or raise the renderer's --memory-limit",
				w.Memory>>20, used>>20)}})
		}
		w.Exit(OutOfMemory)
	})
	if err := line.Send(protocol.Outgoing{Hello: &w.Hello}); err != nil {
		return err
	}
	for {
		message, err := line.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if message.Render == nil {
			return errors.New("the controller asked for something else than a render")
		}
		done.Store(false)
		var answer protocol.Outgoing
		memory.During(func() {
			answer = w.answer(message.Render, tree.New(line))
			if done.CompareAndSwap(false, true) {
				err = send(line, answer)
			}
		})
		if err != nil {
			return err
		}
	}
}

// answer is how a render ends.
func (w *Worker) answer(job *protocol.Render, files *tree.Client) (answer protocol.Outgoing) {
	defer func() {
		if reason := recover(); reason != nil {
			fmt.Fprintf(w.Complaints, "trueup-renderer: a render ended in a panic\n%s\n", debug.Stack())
			answer = failed(fmt.Errorf("a defect of the renderer or of the library that it uses: %v", reason))
		}
	}()
	done, err := w.Render(job, files)
	if failure := files.Failure(); failure != nil {
		return failed(failure)
	}
	var needs *protocol.NeedsError
	switch {
	case errors.As(err, &needs):
		return protocol.Outgoing{Needs: needs.Needs}
	case err != nil:
		return failed(err)
	default:
		return protocol.Outgoing{Done: done}
	}
}

func send(line *protocol.Line, answer protocol.Outgoing) error {
	err := line.Send(answer)
	var tooLarge *protocol.TooLargeError
	if errors.As(err, &tooLarge) {
		return line.Send(failed(fmt.Errorf("it renders to more than can be handed over: %w", err)))
	}
	return err
}

func failed(err error) protocol.Outgoing {
	return protocol.Outgoing{Failed: &protocol.Failed{Message: err.Error()}}
}
