package haproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// entry is one line of a map.
type entry struct{ file, key, value string }

// id cannot be one of a server: those hold no space.
func (e entry) id(node string) string { return node + "/map " + e.file + " " + e.key }

func (e entry) object(node string) state.Object {
	return state.Object{
		Kind: KindMap, Name: e.file + " " + e.key, Node: node,
		Attrs: map[string]state.Value{Value: state.Text(e.value)},
		Info:  map[string]string{"file": e.file, "key": e.key},
	}
}

// parseMap reads `show map <file>`: a pointer, the key and the value on each
// line. The value is all that follows.
func parseMap(file, text string, visit func(entry)) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		pointer, rest, ok := strings.Cut(line, " ")
		key, value, _ := strings.Cut(rest, " ")
		if !ok || key == "" || !strings.HasPrefix(pointer, "0x") {
			return fmt.Errorf("show map %s: %q is no entry", file, oneLine(line))
		}
		visit(entry{file, key, value})
	}
	return nil
}

// checkEntry refuses what the runtime API cannot carry.
func (t *Target) checkEntry(e entry) error {
	switch {
	case !slices.Contains(t.cfg.Maps, e.file):
		return hint.Wrap(fmt.Errorf("map %s is not one of this target's", e.file), "add %s to the target's `maps`, so that it is read and locked", e.file)
	case e.key == "":
		return fmt.Errorf("map %s: the key is empty", e.file)
	case strings.ContainsAny(e.key, " \t\r\n\x00"):
		return fmt.Errorf("map %s: key %q holds a space; HAProxy shows such a key and its value without a border", e.file, e.key)
	}
	return nil
}

// mapCommand returns the command for a change of an entry. `add map` of a key
// that is there would make a second one; only absent entries are added.
func (n *node) mapCommand(e entry, from, to state.Value) (string, error) {
	if !to.Present() {
		key, err := n.quote(e.key)
		return "del map " + e.file + " " + key, err
	}
	verb := "set map "
	if !from.Present() {
		verb = "add map "
	}
	value := to.Text()
	if value == "" || strings.TrimSpace(value) != value {
		return "", driver.Permanent(fmt.Errorf("value %q begins or ends with a space, or is empty; HAProxy keeps no such values", value))
	}
	key, err := n.quote(e.key)
	if err != nil {
		return "", err
	}
	quoted, err := n.quote(value)
	return verb + e.file + " " + key + " " + quoted, err
}

// quote escapes one word of a command (management.txt 9.3: "\" is the escape
// character). A master takes the line apart once more, so nothing that needs
// escaping gets through it whole.
func (n *node) quote(word string) (string, error) {
	if strings.ContainsAny(word, "\n\r\x00") {
		return "", driver.Permanent(fmt.Errorf("%q cannot be sent: commands are one line", word))
	}
	if strings.HasPrefix(word, "<<") {
		return "", driver.Permanent(fmt.Errorf("%q cannot be sent: << begins a payload", word))
	}
	if !strings.ContainsAny(word, " \t;\\#\"'") {
		return word, nil
	}
	if n.endpoint.worker != "" {
		return "", driver.Permanent(hint.Wrap(fmt.Errorf("%q cannot be sent through a master socket", word), "use the worker's own stats socket"))
	}
	var b strings.Builder
	for i := range len(word) {
		if strings.IndexByte(" \t;\\#\"'", word[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(word[i])
	}
	return b.String(), nil
}
