// Records files that the real sops encrypted, and what it makes of them again.
//
//	go run . ../../../crates/sops/tests/data
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

type recorded struct {
	Name      string   `json:"name"`
	Format    string   `json:"format"`
	Arguments []string `json:"arguments"`
	Encrypted string   `json:"encrypted"`
	// In base64.
	Decrypted []byte `json:"decrypted"`
}

const onlyEncrypted = "--mac-only-encrypted"

var ages = []string{"one", "two", "three", "four"}

func main() {
	target, err := filepath.Abs(os.Args[1])
	check(err)
	work, err := os.MkdirTemp("", "sops")
	check(err)
	defer os.RemoveAll(work)
	tools := build(work)

	secrets, names := map[string]string{}, map[string]string{}
	for _, name := range ages {
		secrets[name] = run(work, nil, tools+"/age-keygen")
		names[name] = strings.TrimSpace(run(work, []byte(secrets[name]), tools+"/age-keygen", "-y"))
	}
	secrets["post-quantum"] = run(work, nil, tools+"/age-keygen", "-pq")
	names["post-quantum"] = strings.TrimSpace(run(work, []byte(secrets["post-quantum"]), tools+"/age-keygen", "-y"))
	for kind, bits := range map[string]string{"ed25519": "256", "rsa": "2048"} {
		file := filepath.Join(work, kind)
		run(work, nil, "ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", "test key", "-f", file)
		secrets["ssh-"+kind] = read(file)
		names["ssh-"+kind] = strings.Join(strings.Fields(read(file + ".pub"))[:2], " ")
	}
	run(work, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-C", "test key", "-f", filepath.Join(work, "locked"))
	secrets["ssh-locked"] = read(filepath.Join(work, "locked"))

	groups := func(keys ...string) string {
		text := "creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n"
		for _, key := range keys {
			text += "      - age: [" + names[key] + "]\n"
		}
		return text
	}
	write(filepath.Join(work, "groups.yaml"), groups("one", "four", "two"))
	write(filepath.Join(work, "groups-far.yaml"), groups("one", "four", "three"))
	var all []string
	for _, name := range append(ages, "post-quantum") {
		all = append(all, secrets[name])
	}
	write(filepath.Join(work, "keys"), strings.Join(all, ""))

	var answers []recorded
	for _, one := range cases {
		answers = append(answers, record(work, tools, one, names))
	}
	save(filepath.Join(target, "encrypted.json"), answers)
	save(filepath.Join(target, "keys.json"), map[string]any{"secret": secrets, "public": names})
	save(filepath.Join(target, "envelopes.json"), envelopes(work, tools, names, secrets))
}

func record(work, tools string, one testCase, names map[string]string) recorded {
	file := filepath.Join(work, one.name+"."+one.format)
	write(file, one.plain)
	arguments := append([]string{}, one.arguments...)
	for at := range arguments {
		for name, key := range names {
			arguments[at] = strings.ReplaceAll(arguments[at], "{"+name+"}", key)
		}
	}
	command := []string{tools + "/sops"}
	// There are no such flags, only such rules.
	if all := strings.Join(arguments, " "); strings.Contains(all, onlyEncrypted) || strings.Contains(all, "-comment-regex") {
		rule := "creation_rules:\n  - "
		for len(arguments) > 0 {
			name := strings.ReplaceAll(arguments[0][2:], "-", "_")
			if arguments[0] == onlyEncrypted {
				rule += name + ": true\n"
				break
			}
			rule += fmt.Sprintf("%s: %q\n    ", name, arguments[1])
			arguments = arguments[2:]
		}
		write(filepath.Join(work, "rule.yaml"), rule)
		arguments = []string{"--config", "rule.yaml"}
	}
	if arguments[0] == "--config" {
		command, arguments = append(command, arguments...), nil
	}
	encrypted := run(work, nil, append(append(append(command, "encrypt"), arguments...), file)...)
	write(file, encrypted)
	return recorded{one.name, one.format, one.arguments, encrypted, []byte(run(work, nil, tools+"/sops", "decrypt", file))}
}

// Envelopes that the real age sealed, each with 32 bytes in it.
func envelopes(work, tools string, names, secrets map[string]string) []map[string]string {
	var answers []map[string]string
	plain := bytes.Repeat([]byte("k"), 32)
	for _, to := range [][]string{{"one"}, {"two", "one"}, {"ssh-ed25519"}, {"ssh-rsa"}, {"ssh-rsa", "ssh-ed25519", "one"}, {"two"}, {"post-quantum"}} {
		command := []string{tools + "/age", "--armor"}
		for _, name := range to {
			command = append(command, "-r", names[name])
		}
		answers = append(answers, map[string]string{
			"for": strings.Join(to, " "), "sealed": run(work, plain, command...), "plain": base64.StdEncoding.EncodeToString(plain),
		})
	}
	return answers
}

// Builds the commands at the versions of go.mod.
func build(work string) string {
	run(".", nil, "go", "build", "-o", work+"/",
		"github.com/getsops/sops/v3/cmd/sops", "filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen")
	return work
}

func run(work string, input []byte, command ...string) string {
	process := exec.Command(command[0], command[1:]...)
	process.Dir = work
	process.Stdin = bytes.NewReader(input)
	process.Env = append(os.Environ(), "SOPS_AGE_KEY_FILE="+filepath.Join(work, "keys"),
		"SOPS_AGE_SSH_PRIVATE_KEY_FILE="+filepath.Join(work, sshKey(command)), "HOME="+os.Getenv("HOME"))
	var complaints bytes.Buffer
	process.Stderr = &complaints
	answer, err := process.Output()
	if err != nil {
		log.Fatalf("%s: %v: %s", strings.Join(command, " "), err, complaints.String())
	}
	return string(answer)
}

// The SSH key that a file is decrypted with.
func sshKey(command []string) string {
	if strings.Contains(command[len(command)-1], "ssh-rsa") {
		return "rsa"
	}
	return "ed25519"
}

func save(file string, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(value))
	write(file, text.String())
}

func read(file string) string {
	text, err := os.ReadFile(file)
	check(err)
	return string(text)
}

func write(file, text string) { check(os.WriteFile(file, []byte(text), 0o644)) }

func check(err error) {
	if err != nil {
		log.Fatal(fmt.Errorf("sops oracle: %w", err))
	}
}
