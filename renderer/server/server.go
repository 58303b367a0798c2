// Package server starts one worker for each connection of a Unix socket.
//
// A worker is a process of its own, with the connection as its input and output: what one render does to its process, no
// other sees. Run is the entry point.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"trueup.dev/renderer/protocol"
)

const (
	// DefaultWorkers is how many connections are served at once.
	DefaultWorkers = 8
	// socketMask leaves a socket to its owner and group: both containers of the pod are of one group.
	socketMask = 0o117
	// refusalPatience bounds how long one who is refused may take to read it.
	refusalPatience = time.Second
	// acceptPause is how long nobody is accepted after that has failed: what is refused by then is closed.
	acceptPause = 100 * time.Millisecond
	// probePatience bounds the look whether somebody still listens on a socket that is left over.
	probePatience = time.Second
)

// Server is a socket, and what it starts.
type Server struct {
	// Address is "unix:" and a path.
	Address string
	// Workers is how many connections are served at once; others are refused.
	Workers int
	// Command makes a worker, its input and output yet to be set.
	Command func() *exec.Cmd
}

// Run serves until the context ends, then ends its workers.
func (s *Server) Run(ctx context.Context) error {
	listener, err := listen(s.Address)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	defer listener.Close()
	children := &children{running: map[*exec.Cmd]bool{}}
	defer children.end()
	seats := make(chan struct{}, s.Workers)
	for {
		connection, err := listener.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if isPassing(err) {
			fmt.Fprintf(os.Stderr, "trueup-renderer: a connection could not be accepted: %v\n", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("no connection can be accepted on %q: %w", s.Address, err)
		}
		select {
		case seats <- struct{}{}:
		default:
			children.wait.Go(func() { refuse(connection, fmt.Sprintf("all %d workers of the renderer are in use", s.Workers)) })
			continue
		}
		command := s.Command()
		if err := children.start(command, connection); err != nil {
			<-seats
			children.wait.Go(func() { refuse(connection, err.Error()) })
			continue
		}
		_ = connection.Close()
		children.wait.Go(func() {
			children.finish(command)
			<-seats
		})
	}
}

// isPassing tells of what a server need not end for: one who hung up before it was heard, or too much that is open at the
// moment, by many who are being refused at once.
func isPassing(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// listen makes the socket. One that was left over by a server that is gone is removed.
func listen(address string) (*net.UnixListener, error) {
	path, isUnix := strings.CutPrefix(address, "unix:")
	if !isUnix || !filepath.IsAbs(path) {
		return nil, fmt.Errorf("--listen takes unix: and an absolute path, not %q", address)
	}
	known, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case known.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%q is there already, and no socket", path)
	default:
		if connection, err := net.DialTimeout("unix", path, probePatience); err == nil {
			_ = connection.Close()
			return nil, fmt.Errorf("somebody listens on %q already", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// Never open to others, not even for a moment.
	before := syscall.Umask(socketMask)
	defer syscall.Umask(before)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", path, err)
	}
	return listener, nil
}

// refuse says why nobody serves a connection.
func refuse(connection net.Conn, reason string) {
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(refusalPatience))
	_ = protocol.WriteFrame(connection, protocol.Outgoing{Failed: &protocol.Failed{Message: reason}})
}

// children are the workers that run.
type children struct {
	guard   sync.Mutex
	running map[*exec.Cmd]bool
	wait    sync.WaitGroup
}

func (c *children) start(command *exec.Cmd, connection *net.UnixConn) error {
	file, err := connection.File()
	if err != nil {
		return fmt.Errorf("a connection cannot be handed to a worker: %w", err)
	}
	defer file.Close()
	command.Stdin, command.Stdout = file, file
	c.guard.Lock()
	defer c.guard.Unlock()
	if err := command.Start(); err != nil {
		return fmt.Errorf("a worker cannot be started: %w", err)
	}
	c.running[command] = true
	return nil
}

func (c *children) finish(command *exec.Cmd) {
	if err := command.Wait(); err != nil {
		fmt.Fprintf(os.Stderr, "trueup-renderer: a worker ended: %v\n", err)
	}
	c.guard.Lock()
	defer c.guard.Unlock()
	delete(c.running, command)
}

// end ends the workers: a render is repeated by whoever wants it.
func (c *children) end() {
	c.guard.Lock()
	for command := range c.running {
		_ = command.Process.Kill()
	}
	c.guard.Unlock()
	c.wait.Wait()
}
