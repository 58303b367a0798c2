package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Line is one conversation with the controller.
//
// A goroutine of its own reads all the time, so that the end of the conversation is noticed while a template loops.
type Line struct {
	incoming chan Incoming
	// write guards the writer: the watchdog speaks too.
	write  sync.Mutex
	writer io.Writer
}

// NewLine begins a conversation. `ended` is called once, from another goroutine, when the other side has closed it (with
// nil) or has said what is no frame.
func NewLine(reader io.Reader, writer io.Writer, ended func(error)) *Line {
	line := &Line{incoming: make(chan Incoming), writer: writer}
	go line.listen(reader, ended)
	return line
}

func (l *Line) listen(reader io.Reader, ended func(error)) {
	defer close(l.incoming)
	for {
		frame, err := ReadFrame(reader)
		if errors.Is(err, io.EOF) {
			ended(nil)
			return
		}
		var message Incoming
		if err == nil {
			if err = json.Unmarshal(frame, &message); err != nil {
				err = fmt.Errorf("a frame is not a message: %w", err)
			}
		}
		if err != nil {
			ended(err)
			return
		}
		l.incoming <- message
	}
}

// Send says something.
func (l *Line) Send(message Outgoing) error {
	l.write.Lock()
	defer l.write.Unlock()
	return WriteFrame(l.writer, message)
}

// Next waits for what is said, and answers pings by itself. io.EOF means that the conversation is over.
func (l *Line) Next() (Incoming, error) {
	for message := range l.incoming {
		if message.Ping == nil {
			return message, nil
		}
		if err := l.Send(Outgoing{Pong: &struct{}{}}); err != nil {
			return Incoming{}, err
		}
	}
	return Incoming{}, io.EOF
}

// Ask asks for something and waits for the answer.
func (l *Line) Ask(ask Ask) (Answer, error) {
	if err := l.Send(Outgoing{Ask: &ask}); err != nil {
		return Answer{}, err
	}
	message, err := l.Next()
	if err != nil {
		return Answer{}, err
	}
	if message.Answer == nil {
		return Answer{}, errors.New("the controller said something else than the answer that it was asked for")
	}
	return *message.Answer, nil
}
