package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest frame, in bytes. A whole chart with its subcharts and definitions travels in one; encoded, the
// largest charts that people keep are a tenth of it.
const MaxFrame = 96 << 20

// headerSize is the size of what stands before a frame, in bytes: its length, big-endian.
const headerSize = 4

// ReadFrame reads one frame. io.EOF means that the other side ended between two frames.
//
// Memory follows what has arrived, never what the header promises.
func ReadFrame(reader io.Reader) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(reader, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("the connection ended within a frame's length")
		}
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(header[:]))
	if length > MaxFrame {
		return nil, fmt.Errorf("a frame of %d bytes was announced, the limit is %d", length, MaxFrame)
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, reader, length); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the connection ended after %d of the %d bytes of a frame", frame.Len(), length)
		}
		return nil, err
	}
	return frame.Bytes(), nil
}

// WriteFrame writes a message as one frame.
func WriteFrame(writer io.Writer, message any) error {
	// The length is known only afterwards: room is kept for it, so that frame and length leave in one write.
	frame := bytes.NewBuffer(make([]byte, headerSize))
	encoder := json.NewEncoder(frame)
	// Manifests are full of what would be escaped for HTML.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return fmt.Errorf("a message cannot be written as JSON: %w", err)
	}
	length := frame.Len() - headerSize
	if length > MaxFrame {
		return &TooLargeError{Length: length}
	}
	binary.BigEndian.PutUint32(frame.Bytes(), uint32(length))
	_, err := writer.Write(frame.Bytes())
	return err
}

// TooLargeError says that a message was not sent, because no frame can hold it. The connection is as it was.
type TooLargeError struct{ Length int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("a message of %d bytes is more than a frame can hold (%d)", e.Length, MaxFrame)
}
