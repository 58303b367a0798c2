package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

// What each message looks like on the wire: the other side is written in another language.
func TestMessagesOnTheWire(t *testing.T) {
	place := &Place{Root: "$values", Path: "a/b"}
	cases := map[string]Outgoing{
		`{"hello":{"protocol":1,"build":"b","helm":"4.3.1","kustomize":"0.21.2","jsonnet":"0.22.0"}}`: {
			Hello: &Hello{Protocol: Version, Build: "b", Helm: "4.3.1", Kustomize: "0.21.2", Jsonnet: "0.22.0"}},
		`{"pong":{}}`: {Pong: &struct{}{}},
		`{"ask":{"stat":{"root":"$values","path":"a/b"}}}`:            {Ask: &Ask{Stat: place}},
		`{"ask":{"list":{"root":"$values","path":"a/b"}}}`:            {Ask: &Ask{List: place}},
		`{"ask":{"read":{"root":"$values","path":"a/b"}}}`:            {Ask: &Ask{Read: place}},
		`{"ask":{"tree":{"root":"","path":""}}}`:                      {Ask: &Ask{Tree: &Place{}}},
		`{"ask":{"kubeVersion":{}}}`:                                  {Ask: &Ask{KubeVersion: &struct{}{}}},
		`{"ask":{"hasApiVersion":{"name":"apps/v1"}}}`:                {Ask: &Ask{HasAPIVersion: &APIVersion{"apps/v1"}}},
		`{"ask":{"apiVersions":{}}}`:                                  {Ask: &Ask{APIVersions: &struct{}{}}},
		`{"failed":{"message":"<&>"}}`:                                {Failed: &Failed{"<&>"}},
		`{"done":{"documents":[],"warnings":[],"unstable":[]}}`:       {Done: &Done{[]Document{}, []string{}, []string{}}},
		`{"needs":[{"resource":{"url":"https://example.org/base"}}]}`: {Needs: []Need{{Resource: &ResourceNeed{"https://example.org/base"}}}},
		`{"needs":[{"chart":{"repository":"oci://r","name":"redis","version":"^1"}}]}`: {
			Needs: []Need{{Chart: &ChartNeed{"oci://r", "redis", "^1"}}}},
	}
	for want, message := range cases {
		var wire bytes.Buffer
		if err := WriteFrame(&wire, message); err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint32(wire.Bytes()); int(got) != wire.Len()-headerSize {
			t.Errorf("a length of %d before %d bytes", got, wire.Len()-headerSize)
		}
		frame, err := ReadFrame(&wire)
		if got := strings.TrimSpace(string(frame)); err != nil || got != want {
			t.Errorf("%s, %v instead of %s", got, err, want)
		}
	}
}

func TestReadsWhatIsAskedOfIt(t *testing.T) {
	text := `{"render":{"helm":{"chart":{"root":"","path":"c"},"set":[{"name":"a","value":"1","forceString":true}],"later":{},
		"fetched":[{"need":{"chart":{"repository":"r","name":"n","version":"1"}},"root":"need:0","path":"n"}]}}}`
	var message Incoming
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		t.Fatal(err)
	}
	helm := message.Render.Helm
	place, found := Find(helm.Fetched, Need{Chart: &ChartNeed{"r", "n", "1"}})
	if !found || place != (Place{"need:0", "n"}) || helm.Set[0] != (Parameter{"a", "1", true}) {
		t.Errorf("%+v", helm)
	}
	if _, found := Find(helm.Fetched, Need{Chart: &ChartNeed{"r", "n", "2"}}); found {
		t.Error("another version was found")
	}
}

func TestFramesThatAreNone(t *testing.T) {
	cases := map[string]string{
		"\x00\x00":                 "within a frame's length",
		"\x00\x00\x00\x05ab":       "after 2 of the 5 bytes",
		"\xff\xff\xff\xff{}":       "the limit is",
		"\x06\x00\x00\x01whatever": "the limit is",
	}
	for wire, want := range cases {
		if _, err := ReadFrame(strings.NewReader(wire)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", wire, err)
		}
	}
	if _, err := ReadFrame(strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
}

func TestAMessageTooLargeIsNotSent(t *testing.T) {
	var wire bytes.Buffer
	err := WriteFrame(&wire, Outgoing{Failed: &Failed{strings.Repeat("x", MaxFrame)}})
	var tooLarge *TooLargeError
	if !errors.As(err, &tooLarge) || wire.Len() != 0 {
		t.Errorf("%v, %d bytes sent", err, wire.Len())
	}
}

func TestALineAnswersPingsAndNoticesItsEnd(t *testing.T) {
	fromUs, toWorker := io.Pipe()
	fromWorker, toUs := io.Pipe()
	ended := make(chan error, 1)
	line := NewLine(fromUs, toUs, func(err error) { ended <- err })
	asked := make(chan Answer, 1)
	go func() {
		answer, _ := line.Ask(Ask{KubeVersion: &struct{}{}})
		asked <- answer
	}()
	expect := func(want string) {
		t.Helper()
		frame, err := ReadFrame(fromWorker)
		if err != nil || strings.TrimSpace(string(frame)) != want {
			t.Fatalf("%s, %v instead of %s", frame, err, want)
		}
	}
	expect(`{"ask":{"kubeVersion":{}}}`)
	say := func(message any) {
		t.Helper()
		if err := WriteFrame(toWorker, message); err != nil {
			t.Fatal(err)
		}
	}
	say(map[string]any{"ping": map[string]any{}})
	expect(`{"pong":{}}`)
	say(map[string]any{"answer": map[string]any{"text": "v1.36.3"}})
	if answer := <-asked; answer.Text != "v1.36.3" {
		t.Errorf("answered %+v", answer)
	}
	if err := toWorker.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if _, err := line.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("next: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x02{}", "\x00\x00\x00\x0c{\"ping\":{}}", "\xff\xff\xff\xff", "\x00\x00\x00\x05{\"an", "\x00\x00\x00\x04null\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		reader := bytes.NewReader(wire)
		for {
			before := reader.Len()
			frame, err := ReadFrame(reader)
			if err != nil {
				return
			}
			if read := before - reader.Len(); read != headerSize+len(frame) {
				t.Fatalf("%d bytes were read for a frame of %d", read, len(frame))
			}
			var message Incoming
			// Whatever it holds is a message or an error.
			_ = json.Unmarshal(frame, &message)
		}
	})
}
