package haproxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// reply is the answer to one command.
type reply struct {
	text string
	// level is the severity (RFC 5424, 3 and below are errors), -1 where none
	// was told: content of a `show`, nothing at all, or a master's answer.
	level int
}

// cut takes an answer apart. Every command answers some text, ends it with a
// newline where its author thought of it, and HAProxy adds one more newline
// (cli.c, cli_io_handler), so nothing but a newline is a success and an empty
// line ends a text. Texts without their own newline make fewer answers than
// commands; that is an error here, never a guess. leading says that the first
// answer belongs to the severity command.
func cut(answer []byte, want int, leading bool) ([]reply, error) {
	rest := string(answer)
	if leading && !strings.HasPrefix(rest, "\n") {
		return nil, garbage(rest)
	}
	replies := make([]reply, 0, want)
	for rest != "" && len(replies) < want {
		if rest[0] == '\n' {
			replies = append(replies, reply{"", -1})
			rest = rest[1:]
			continue
		}
		text, after, ended := strings.Cut(rest, "\n\n")
		if !ended {
			text, ended = strings.CutSuffix(text, "\n")
			after = ""
		}
		if !ended {
			return nil, hint.Wrap(fmt.Errorf("the answer breaks off after %q", oneLine(last(rest))),
				"HAProxy ended in the middle of its answer: was it stopped or reloaded just now?")
		}
		replies = append(replies, level(text))
		rest = after
	}
	switch {
	case rest != "":
		return nil, fmt.Errorf("more answers than commands: %q", oneLine(rest))
	case len(replies) < want:
		return nil, fewer(replies, want)
	}
	return replies, nil
}

func fewer(replies []reply, want int) error {
	for _, r := range replies {
		if r.text != "" && r.level >= 0 {
			return fmt.Errorf("%d answers to %d commands, among them: %s", len(replies), want, oneLine(r.text))
		}
	}
	return fmt.Errorf("%d answers to %d commands", len(replies), want)
}

func garbage(s string) error {
	return hint.Wrap(fmt.Errorf("answers %q, which HAProxy's runtime API never says", oneLine(s)), "does another program listen there?")
}

// level cuts "[3]: " off.
func level(text string) reply {
	if len(text) >= 5 && text[0] == '[' && text[1] >= '0' && text[1] <= '7' && text[2:5] == "]: " {
		return reply{text[5:], int(text[1] - '0')}
	}
	return reply{text, -1}
}

func last(s string) string {
	return s[strings.LastIndexByte(strings.TrimRight(s, "\n"), '\n')+1:]
}

// refusals are told without a severity on a master socket.
var refusals = [...]string{
	"Unknown command", "Permission denied", "Can't find", "No such", "Unknown map", "Missing map", "Invalid", "Unable",
}

// refused reports whether a command that reads was turned down.
func (r reply) refused() bool {
	if r.level >= 0 && r.level <= 3 {
		return true
	}
	for _, p := range refusals {
		if strings.HasPrefix(r.text, p) {
			return true
		}
	}
	return false
}

// notices are what commands that write say on success.
var notices = [...]string{
	"no need to change", "IP changed", "port changed", "New server registered", "Server deleted",
}

// outcome is nil when a command that writes was obeyed. A text that is neither
// marked as a notice nor known to be one is taken for a refusal.
func (r reply) outcome(command string) error {
	if r.text == "" || (r.level >= 4 && !r.refused()) {
		return nil
	}
	if r.level < 0 {
		for _, p := range notices {
			if strings.HasPrefix(r.text, p) {
				return nil
			}
		}
	}
	return &refused{command, r.text}
}

// refused is HAProxy's no to one command.
type refused struct{ command, text string }

func (e *refused) Error() string { return oneLine(e.text) }

func (e *refused) is(text string) bool { return strings.Contains(e.text, text) }

// explain adds what the person can do, and what the engine should: a refusal
// is for good, except for the ones that time heals.
func explain(err error) error {
	r, ok := errors.AsType[*refused](err)
	if !ok {
		return err
	}
	switch {
	case r.is("Permission denied"):
		return driver.Permanent(hint.Wrap(err, "the socket is read-only for flip: %s", needAdmin))
	case r.is("static LB algorithm"), r.is("must use a dynamic load balancing"):
		return driver.Permanent(hint.Wrap(err, "`balance` is a static algorithm: it knows weight 0 and the initial weight only, and no servers made at runtime; use state drain|ready, or a dynamic one such as roundrobin"))
	case r.is("No such server"), r.is("No such backend"), r.is("Can't find backend"), r.is("Unknown map identifier"):
		return notFound(err)
	case r.is("Unknown command"):
		return driver.Permanent(hint.Wrap(err, "this HAProxy does not know %q; is it a worker of a current version?", r.command))
	}
	return driver.Permanent(err)
}

// notFound marks err as one of what does not exist; its text stays as it is.
func notFound(err error) error { return driver.Permanent(&absent{err}) }

type absent struct{ error }

func (e *absent) Unwrap() []error { return []error{e.error, driver.ErrNotFound} }
