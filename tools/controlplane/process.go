package main

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
)

// How much of the end of a log is read to explain why a component ended.
const logTailBytes = 4096

// process is one running component.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	// Closed when the process has ended and was waited for.
	done chan struct{}
	// Set before we kill it: its end is then no news.
	killed atomic.Bool
}

// spawner starts children on one OS thread that lives as long as this process: the death signal that we ask for them
// (they must not outlive even a kill -9 of ours) is sent when the *thread* that started them ends.
var spawner = func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// spawn starts a component as a child of ours, its output appended to the log, and reports its end.
func spawn(name string, args []string, log string, died chan<- *process) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(self, append([]string{name}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own keeps the terminal's ctrl-C for us: we end the children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	spawner <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.done)
		died <- p
	}()
	return p, nil
}

// kill ends the process at once and waits for it. The data is a test's: nothing is worth a graceful shutdown.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) logTail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-logTailBytes):])
}
