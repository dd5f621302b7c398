package journal

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
)

// Ask is what a message wants of a run.
type Ask string

// What another process may ask of a run.
const (
	AskStop     Ask = "stop"     // pause at the next safe point
	AskApprove  Ask = "approve"  // go on at the approval Key
	AskDeny     Ask = "deny"     // do not
	AskRollback Ask = "rollback" // go back
)

// Message is how another process talks to the one that drives a run.
type Message struct {
	// Name is the message's file; Poll fills it in. A message counts once,
	// however often it is polled: journal its Name, then Consume it.
	Name   string    `json:"-"`
	Kind   Ask       `json:"kind"`
	Key    string    `json:"key,omitempty"` // of the approval
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

const (
	messageEnd = ".json"
	badEnd     = ".bad"
	// messageBytes bounds what is read of a message.
	messageBytes = 64 << 10
)

func (m Message) check() error {
	if !slices.Contains([]Ask{AskStop, AskApprove, AskDeny, AskRollback}, m.Kind) {
		return fmt.Errorf("message of unknown kind %q", m.Kind)
	}
	return nil
}

// Post leaves m for whoever drives the run in dir (a Log's or View's Dir), now
// or later, and returns its name. It is durable when Post returns. A zero Time
// becomes now.
func Post(dir string, m Message) (string, error) {
	if err := m.check(); err != nil {
		return "", err
	}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	m.Time = stamp(m.Time)
	box := filepath.Join(dir, inboxDir)
	if err := os.Mkdir(box, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", disk(fmt.Errorf("inbox: %w", err), dir)
	}
	text, err := marshal(m)
	if err != nil {
		return "", fmt.Errorf("inbox: %w", err)
	}
	name := ulid.MustNew(ulid.Timestamp(m.Time), rand.Reader).String() + "-" + string(m.Kind) + messageEnd
	if err := replaceFile(filepath.Join(box, name), append(text, '\n'), true); err != nil {
		return "", disk(fmt.Errorf("inbox: %w", err), dir)
	}
	return name, nil
}

// Poll returns the messages that wait for the run in dir, the oldest first. A
// file that is no message is set aside as NAME.bad and named in the error; the
// messages are returned all the same.
func Poll(dir string) ([]Message, error) {
	box := filepath.Join(dir, inboxDir)
	entries, err := os.ReadDir(box)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, disk(fmt.Errorf("inbox: %w", err), dir)
	}
	var (
		messages []Message
		bad      []error
	)
	for _, e := range entries { // by name, and so by time
		if !strings.HasSuffix(e.Name(), messageEnd) || !e.Type().IsRegular() {
			continue
		}
		m, err := readMessage(filepath.Join(box, e.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // consumed meanwhile
		case err != nil:
			bad = append(bad, fmt.Errorf("inbox: %s: %w", e.Name(), err))
		default:
			messages = append(messages, m)
		}
	}
	return messages, errors.Join(bad...)
}

func readMessage(path string) (Message, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Message{}, err
	}
	var m Message
	if info.Size() > messageBytes {
		err = fmt.Errorf("%d bytes are too many for a message", info.Size())
	} else {
		var text []byte
		if text, err = os.ReadFile(path); err != nil {
			return Message{}, err
		}
		if err = json.Unmarshal(text, &m); err == nil {
			err = m.check()
		}
	}
	if err != nil {
		return Message{}, errors.Join(err, os.Rename(path, path+badEnd))
	}
	m.Name = filepath.Base(path)
	return m, nil
}

// Consume removes a message that was journaled. One that is gone already is
// fine.
func Consume(dir, name string) error {
	if name != filepath.Base(name) || !strings.HasSuffix(name, messageEnd) {
		return fmt.Errorf("inbox: %q is not a message", name)
	}
	err := os.Remove(filepath.Join(dir, inboxDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return disk(err, dir)
}
