package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trueup.dev/renderer/protocol"
	"trueup.dev/renderer/tree/treetest"
	"trueup.dev/renderer/worker"
)

// patience bounds how long a test waits for what is to happen at once: the machine may be busy.
const patience = time.Minute

// program is the binary, built for these tests.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "trueup-renderer-test-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "trueup-renderer")
	code := 1
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v: %s", err, out)
	} else {
		// The workers have no more: what is to stop them may be what is broken.
		treetest.LimitMemory()
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// peer is the controller's end of a conversation with a worker.
type peer struct {
	t    *testing.T
	in   io.WriteCloser
	out  io.Reader
	said *bytes.Buffer
	run  *exec.Cmd
}

// start starts a worker and hears its greeting.
func start(t *testing.T, arguments ...string) *peer {
	t.Helper()
	run := exec.Command(program, arguments...)
	run.Env = []string{}
	in, err := run.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	worker := &peer{t: t, in: in, out: out, said: &bytes.Buffer{}, run: run}
	run.Stderr = worker.said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run.Process.Kill() })
	worker.greet()
	return worker
}

func (p *peer) greet() {
	p.t.Helper()
	var hello struct{ Hello *protocol.Hello }
	p.hear(&hello)
	if greeting := hello.Hello; greeting == nil || greeting.Protocol != 1 || greeting.Build == "" || greeting.Helm != "4.3.1" || greeting.Kustomize != "0.21.2" || greeting.Jsonnet != "0.22.0" {
		p.t.Fatalf("hello: %+v", greeting)
	}
}

func (p *peer) say(message any) {
	p.t.Helper()
	if err := protocol.WriteFrame(p.in, message); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) hear(message any) {
	p.t.Helper()
	frame, err := protocol.ReadFrame(p.out)
	if err != nil {
		p.t.Fatalf("%v; it said: %s", err, p.said)
	}
	if err := json.Unmarshal(frame, message); err != nil {
		p.t.Fatalf("%v in %s", err, frame)
	}
}

// end is how a render ends.
type end struct {
	Ask    *protocol.Ask
	Done   *protocol.Done
	Needs  []protocol.Need
	Failed *protocol.Failed
}

// render asks for a chart of one template, and answers until the render ends.
func (p *peer) render(template string) end {
	p.t.Helper()
	p.askForRender()
	return p.finish(files(template))
}

// finish answers until the render ends.
func (p *peer) finish(controller *treetest.Controller) end {
	p.t.Helper()
	for {
		var heard end
		p.hear(&heard)
		if heard.Ask == nil {
			return heard
		}
		answer, err := controller.Ask(*heard.Ask)
		if err != nil {
			p.t.Fatal(err)
		}
		p.answer(answer)
	}
}

func files(template string) *treetest.Controller {
	return &treetest.Controller{Files: treetest.Files{"": {
		"app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", "app/templates/a.yaml": template,
	}}}
}

func (p *peer) askForRender() {
	p.t.Helper()
	p.say(map[string]any{"render": map[string]any{"helm": map[string]any{"chart": map[string]any{"root": "", "path": "app"}, "releaseName": "r"}}})
}

// answer answers as the controller does: only with what was asked for.
func (p *peer) answer(answer protocol.Answer) {
	p.t.Helper()
	switch {
	case answer.Error != "":
		p.say(map[string]any{"answer": map[string]any{"error": answer.Error}})
	case answer.Kind != "":
		p.say(map[string]any{"answer": map[string]any{"kind": answer.Kind}})
	case answer.Data != nil:
		p.say(map[string]any{"answer": map[string]any{"data": answer.Data}})
	default:
		p.say(map[string]any{"answer": map[string]any{"files": answer.Files}})
	}
}

// code waits for the end of the process.
func (p *peer) code() int {
	p.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.run.Wait() }()
	select {
	case err := <-ended:
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			p.t.Fatal(err)
		}
		return p.run.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("it goes on")
		return 0
	}
}

// noMoreFiles is how the system tells of a process that can open nothing.
var noMoreFiles = regexp.MustCompile(`(?m)^Max open files +0 +0 `)

const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"

func TestAWorkerRendersOneAfterTheOther(t *testing.T) {
	worker := start(t)
	worker.say(map[string]any{"ping": map[string]any{}})
	var pong map[string]any
	if worker.hear(&pong); pong["pong"] == nil {
		t.Errorf("%v", pong)
	}
	// Nothing can be opened any more, and rendering goes on.
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", worker.run.Process.Pid)); err != nil || !noMoreFiles.Match(text) {
		t.Errorf("%v: %s", err, text)
	}
	for range 2 {
		if heard := worker.render(manifest); heard.Done == nil || len(heard.Done.Documents) != 1 || heard.Done.Documents[0].File != "app/templates/a.yaml" {
			t.Errorf("%+v", heard)
		}
		if heard := worker.render("{{ fail \"no\" }}"); heard.Failed == nil || !strings.Contains(heard.Failed.Message, "no") {
			t.Errorf("%+v", heard)
		}
	}
	// Kustomize says of the field that it is an old one, which nobody is to read at each render.
	worker.say(map[string]any{"render": map[string]any{"kustomize": map[string]any{"path": "overlay"}}})
	overlay := &treetest.Controller{Files: treetest.Files{"": {
		"overlay/kustomization.yaml": "resources: [a.yaml]\ncommonLabels: {a: b}\n", "overlay/a.yaml": manifest,
	}}}
	if heard := worker.finish(overlay); heard.Done == nil || !strings.Contains(heard.Done.Documents[0].Text, "a: b") {
		t.Errorf("%+v", heard)
	}
	worker.say(map[string]any{"render": map[string]any{"jsonnet": map[string]any{"file": "a.jsonnet"}}})
	if heard := worker.finish(&treetest.Controller{Files: treetest.Files{"": {"a.jsonnet": "{a: 1 + 1}"}}}); heard.Done == nil {
		t.Errorf("%+v", heard)
	}
	worker.say(map[string]any{"render": map[string]any{"pulumi": map[string]any{}}})
	var heard end
	if worker.hear(&heard); heard.Failed == nil || !strings.Contains(heard.Failed.Message, "does not know") {
		t.Errorf("%+v", heard)
	}
	if err := worker.in.Close(); err != nil {
		t.Fatal(err)
	}
	if code := worker.code(); code != 0 || worker.said.Len() > 0 {
		t.Errorf("ended with %d: %s", code, worker.said)
	}
}

// A loop of some years, which takes no memory.
const loop = "{{ range until 100000 }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ end }}"

func TestAWorkerEndsWithItsPipeWhileATemplateLoops(t *testing.T) {
	worker := start(t)
	worker.askForRender()
	controller := files(loop)
	for range 2 {
		var heard end
		worker.hear(&heard)
		answer, err := controller.Ask(*heard.Ask)
		if err != nil {
			t.Fatal(err)
		}
		worker.answer(answer)
	}
	if err := worker.in.Close(); err != nil {
		t.Fatal(err)
	}
	if code := worker.code(); code != 0 {
		t.Errorf("ended with %d: %s", code, worker.said)
	}
}

func TestAWorkerThatTakesTooMuchMemorySaysSo(t *testing.T) {
	for _, template := range []string{
		`a: {{ repeat 500000000 "x" }}`,
		`{{ $all := list }}{{ range until 100000 }}{{ $all = append $all (until 100000) }}{{ end }}`,
		`{{ range until 1000000 }}{{ range until 1000000 }}a line of some length, again and again{{ end }}{{ end }}`,
	} {
		taker := start(t, "--memory-limit", "128Mi")
		if heard := taker.render(template); heard.Failed == nil || !strings.Contains(heard.Failed.Message, "128 MiB of memory") {
			t.Errorf("%+v", heard)
		}
		if code := taker.code(); code != worker.OutOfMemory {
			t.Errorf("ended with %d: %s", code, taker.said)
		}
	}
}

func TestWhatIsNoMessageEndsAWorker(t *testing.T) {
	worker := start(t)
	if _, err := io.WriteString(worker.in, "\x00\x00\x00\x03abc"); err != nil {
		t.Fatal(err)
	}
	if code := worker.code(); code != 1 || !strings.Contains(worker.said.String(), "not a message") {
		t.Errorf("ended with %d: %s", code, worker.said)
	}
}

func TestFlags(t *testing.T) {
	cases := map[string]struct {
		arguments []string
		code      int
		want      string
	}{
		"version": {[]string{"--version"}, 0, "helm 4.3.1"},
		"help":    {[]string{"--help"}, 0, "--listen unix:/PATH"},
		"unknown": {[]string{"--what"}, 1, "--help lists"},
		"more":    {[]string{"serve"}, 1, `"serve" is no flag`},
		"memory":  {[]string{"--memory-limit", "lots"}, 1, "512Mi"},
		"little":  {[]string{"--memory-limit", "1Mi"}, 1, "at least 64 MiB"},
		"workers": {[]string{"--workers", "0"}, 1, "at least 1"},
		"address": {[]string{"--listen", "127.0.0.1:80"}, 1, "unix: and an absolute path"},
		"no room": {[]string{"--listen", "unix:/nowhere/socket"}, 1, "cannot listen"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			run := exec.Command(program, test.arguments...)
			out, err := run.CombinedOutput()
			if code := run.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.want) {
				t.Errorf("ended with %d (%v): %s", code, err, out)
			}
		})
	}
}

// serveAt starts a server and waits until it listens.
func serveAt(t *testing.T, path string, arguments ...string) *exec.Cmd {
	t.Helper()
	run := exec.Command(program, append([]string{"--listen", "unix:" + path}, arguments...)...)
	complaints, err := os.Create(complaintsOf(path))
	if err != nil {
		t.Fatal(err)
	}
	run.Stderr = complaints
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = run.Process.Kill(), complaints.Close() })
	until(t, "it listens", func() bool {
		connection, err := net.Dial("unix", path)
		if err != nil {
			return false
		}
		return connection.Close() == nil
	})
	return run
}

// complaintsOf is where the server of a socket complains.
func complaintsOf(path string) string { return path + ".log" }

func TestAServerGoesOnWhenTooMuchIsOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "renderer.sock")
	server := serveAt(t, path)
	var before unix.Rlimit
	if err := unix.Prlimit(server.Process.Pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(server.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	waiting := connect(t, path)
	until(t, "it complains", func() bool {
		complaints, err := os.ReadFile(complaintsOf(path))
		return err == nil && strings.Contains(string(complaints), "a connection could not be accepted")
	})
	if err := unix.Prlimit(server.Process.Pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	waiting.greet()
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

func connect(t *testing.T, path string) *peer {
	t.Helper()
	connection, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, in: connection, out: connection, said: &bytes.Buffer{}}
}

// greeted is a connection that a worker has taken.
func greeted(t *testing.T, path string) *peer {
	t.Helper()
	var taken *peer
	// The seat of the connection before may not be free yet.
	until(t, "a worker is free", func() bool {
		taken = connect(t, path)
		frame, err := protocol.ReadFrame(taken.out)
		return err == nil && strings.Contains(string(frame), "hello")
	})
	return taken
}

func TestAServerStartsAWorkerForEachConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "renderer.sock")
	// What a server that was killed has left over.
	if left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path}); err != nil {
		t.Fatal(err)
	} else {
		left.SetUnlinkOnClose(false)
		_ = left.Close()
	}
	server := serveAt(t, path, "--workers", "2")
	if information, err := os.Stat(path); err != nil || information.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", information, err)
	}
	second := exec.Command(program, "--listen", "unix:"+path)
	if out, _ := second.CombinedOutput(); second.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "somebody listens") {
		t.Errorf("a second server: %s", out)
	}
	first, other := greeted(t, path), greeted(t, path)
	if heard := first.render(manifest); heard.Done == nil {
		t.Errorf("%+v", heard)
	}
	var refused end
	connect(t, path).hear(&refused)
	if refused.Failed == nil || !strings.Contains(refused.Failed.Message, "all 2 workers") {
		t.Errorf("%+v", refused)
	}
	if err := first.in.Close(); err != nil {
		t.Fatal(err)
	}
	if heard := greeted(t, path).render(manifest); heard.Done == nil {
		t.Errorf("%+v", heard)
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	// Its workers are gone, and its socket.
	if _, err := protocol.ReadFrame(other.out); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a worker is left: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}
