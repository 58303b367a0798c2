package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// parentPoll is how often `up` looks whether its parent still lives.
const parentPoll = 200 * time.Millisecond

// errStopped says that the wish to stop came while starting.
var errStopped = errors.New("stopped")

// options are the flags of `up`.
type options struct {
	dir         string
	users       []user
	nodes       int
	parentStdin bool
	ephemeral   bool
	metrics     bool
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "directory for data, logs and kubeconfigs (made if missing)")
	flags.IntVar(&o.nodes, "nodes", 2, "number of simulated nodes")
	flags.BoolVar(&o.parentStdin, "parent-stdin", false, "take orders from standard input and stop at its end")
	flags.BoolVar(&o.metrics, "metrics", false, "serve metrics of the pods, made up, so that autoscalers work")
	flags.BoolVar(&o.ephemeral, "ephemeral", false, "remove the directory at the end")
	flags.Func("user", "another user, NAME=TOKEN[:GROUP] (repeatable; GROUP defaults to system:masters)", func(s string) error {
		u, err := parseUser(s)
		o.users = append(o.users, u)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" || flags.NArg() > 0 {
		flags.Usage()
		return o, errors.New("up wants --dir and no arguments")
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}

// up runs a control plane until it is told to stop, and answers its exit code.
func up(args []string) int {
	o, err := parseOptions(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	stop := make(chan string, 8)
	orders := make(chan string)
	watchForTheEnd(stop)
	if o.parentStdin {
		go readOrders(os.Stdin, orders, stop)
	}
	err = run(o, orders, stop)
	if errors.Is(err, errStopped) {
		err = nil
	}
	if o.ephemeral {
		// Every component is gone by now: nobody writes there any more.
		err = errors.Join(err, os.RemoveAll(o.dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		return 1
	}
	return 0
}

func run(o options, orders, stop chan string) error {
	c, err := startCluster(o, stop)
	if err != nil {
		return err
	}
	defer c.stopAll()
	if err := say(c.summary()); err != nil {
		return err
	}
	for {
		select {
		case why := <-stop:
			progress("stopping: %s", why)
			return nil
		case order := <-orders:
			if err := c.obey(order, stop); err != nil {
				return err
			}
		case p := <-c.died:
			if p.killed.Load() {
				continue
			}
			return fmt.Errorf("%s ended by itself, its log ends with\n%s", p.name, p.logTail())
		}
	}
}

func startCluster(o options, stop chan string) (*cluster, error) {
	c, err := newCluster(o)
	if err != nil {
		return nil, err
	}
	if err := c.start(stop); err != nil {
		c.stopAll()
		return nil, err
	}
	return c, nil
}

// watchForTheEnd reports signals and the death of the parent. The parent is polled: the death signal that Linux offers
// belongs to the parent's *thread*, and the threads of a test runner come and go.
func watchForTheEnd(stop chan<- string) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	parent := os.Getppid()
	go func() {
		ticks := time.NewTicker(parentPoll)
		for {
			select {
			case s := <-signals:
				stop <- s.String()
			case <-ticks.C:
				if os.Getppid() != parent {
					stop <- "the parent is gone"
					return
				}
			}
		}
	}()
}

// say writes one line of JSON to standard output, which carries nothing else.
func say(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "controlplane: "+format+"\n", args...)
}
