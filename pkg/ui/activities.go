package ui

import (
	"cmp"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// intent remembers what begins; what is worth a line is said when it is done.
func (t *teller) intent(r journal.Record) []line {
	a := activity{kind: r.Activity, key: r.Key, begun: r.Time, data: r.Data}
	if r.Activity == "apply" {
		in, _ := journal.Decode[journal.Apply](r)
		a.label = clean(in.Label)
	}
	t.acts[r.Key] = a
	if r.Activity == journal.ActivityAsk || r.Activity == journal.ActivityKill {
		return t.asks(r)
	}
	if r.Activity != "run" {
		return nil
	}
	in, _ := journal.Decode[journal.Command](r)
	switch {
	case undoing(r.Key):
		return undoOf(in, []line{t.line(r, toneNone, undoName(in)+commandLine(in))})
	case in.Attempt > 1:
		return []line{t.line(r, toneWarn, "attempt "+Count(in.Attempt)+": "+commandLine(in))}
	}
	return nil
}

func (t *teller) done(r journal.Record) []line {
	a, known := t.acts[r.Key]
	delete(t.acts, r.Key)
	input := journal.Record{Data: a.data}
	switch r.Activity {
	case "observe", "clock", journal.ActivityVersions:
		return nil
	case "apply":
		in, _ := journal.Decode[journal.Apply](input)
		out, _ := journal.Decode[journal.Applied](r)
		if !known {
			return []line{t.line(r, toneNone, "changes were made; "+readBack(out.Nodes))}
		}
		return []line{t.line(r, toneNone, applied(in, out))}
	case "restore":
		in, _ := journal.Decode[journal.Restore](input)
		out, _ := journal.Decode[journal.Restored](r)
		text, fine := restored(in.Phase, out)
		if text == "" {
			return nil
		}
		if !fine {
			return []line{t.line(r, toneBad, text)}
		}
		return []line{t.line(r, toneNone, text)}
	case "run":
		return t.exit(r, a)
	case journal.ActivityAsk:
		return t.wereAsked(r)
	case journal.ActivityKill:
		if out, _ := journal.Decode[journal.Called](r); len(out.Failed) > 0 {
			return t.wereAsked(r)
		}
		return []line{t.line(r, toneWarn, "ended what was still in flight")}
	}
	text := clean(outcomeText(r))
	if r.Activity == "hold" && text == "held" && known {
		return []line{t.line(r, toneNone, "held "+Duration(r.Time.Sub(a.begun).Round(time.Second)))}
	}
	if text == "" || t.repeats(r, text) {
		return nil
	}
	if r.Activity == journal.ActivityViews {
		return []line{t.line(r, toneNone, text)} // of the way back
	}
	return []line{t.line(r, toneNone, clean(r.Activity)+": "+text)}
}

// outcomeText is what an activity says about its own end.
func outcomeText(r journal.Record) string {
	d, _ := journal.Decode[struct {
		Text string `json:"text"`
	}](r)
	return d.Text
}

// repeats reports whether the end of the step will say text again: the
// outcome of a gate or a drain is the outcome of its step.
func (t *teller) repeats(r journal.Record, text string) bool {
	verb := t.owner(r.Key).Verb
	if r.Activity == journal.ActivityViews {
		return verb == "wait"
	}
	return text != "" && (verb == "gate" || verb == "drain") && verb == r.Activity
}

func (t *teller) exit(r journal.Record, a activity) []line {
	out, _ := journal.Decode[journal.Exit](r)
	in, _ := journal.Decode[journal.Command](journal.Record{Data: a.data})
	if out.Code == 0 && r.Error == nil {
		if undoing(r.Key) {
			return undoOf(in, []line{t.line(r, toneGood, undoName(in)+"done"+inTime(r.Time.Sub(a.begun)))})
		}
		return nil
	}
	text := "FAILED: command exited with " + Count(out.Code)
	if r.Error != nil {
		text = "FAILED: " + clean(r.Error.Text)
	}
	t.tellOnce(r, strings.TrimPrefix(text, "FAILED: "))
	if undoing(r.Key) {
		text = undoName(in) + text
	}
	lines := []line{t.line(r, toneBad, text)}
	lines = append(lines, t.hints(r)...)
	output := a.output
	if out.Output != "" {
		output = strings.Split(strings.TrimRight(out.Output, "\n"), "\n")
	}
	if t.o.Verbose && len(a.output) > 0 {
		output = nil // shown when it was printed
	}
	for _, l := range output[max(0, len(output)-keptOutput):] {
		lines = append(lines, t.line(r, toneDim, "| "+clean(l)))
	}
	if in.Log != "" {
		lines = append(lines, t.line(r, toneDim, "all output: "+join(t.o.Dir, clean(in.Log))))
	}
	return undoOf(in, lines)
}

func (t *teller) failed(r journal.Record) []line {
	a := t.acts[r.Key]
	if r.Activity == "run" {
		delete(t.acts, r.Key)
		return t.exit(r, a)
	}
	delete(t.acts, r.Key)
	if r.Activity == "await" {
		t.state.awaiting = false
	}
	text := "no reason is recorded"
	if r.Error != nil {
		text = cmp.Or(clean(r.Error.Text), text)
	}
	t.tellOnce(r, text)
	l := t.line(r, toneBad, failure(r.Activity, a.label, text))
	return append([]line{l}, t.hints(r)...)
}

// failure says what failed and why: "gate errors FAILED: error rate 4.1 %".
func failure(activity, label, text string) string {
	subject := ""
	if name, why, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(name, "gate ") {
		subject, text = name+" ", why
	}
	if label != "" {
		subject = label + ": " + subject
	}
	if subject == "" && activity == "restore" {
		subject = "putting back "
	}
	return subject + "FAILED: " + text
}

// tellOnce notes an error, so that the end of its step does not repeat it.
func (t *teller) tellOnce(r journal.Record, text string) {
	if s := t.owner(r.Key); s.key != "" {
		t.said[s.key] = text
	}
}

func (t *teller) hints(r journal.Record) []line {
	if r.Error == nil {
		return nil
	}
	var lines []line
	for _, h := range r.Error.Hints {
		lines = append(lines, t.line(r, toneNone, "hint: "+clean(h)))
	}
	return lines
}

// undoOf marks lines as being about the step whose command is undone.
func undoOf(c journal.Command, lines []line) []line {
	for i := range lines {
		lines[i].of = clean(c.Env["FLIP_STEP"])
	}
	return lines
}

// undoName names the step whose command is undone.
func undoName(c journal.Command) string {
	if c.Env["FLIP_STEP"] == "" {
		return ""
	}
	return clean(c.Env["FLIP_STEP"]) + ": "
}

// commandLine is a command as a person would type it.
func commandLine(c journal.Command) string {
	if c.Shell != "" {
		return clean(c.Shell)
	}
	words := make([]string, len(c.Argv))
	for i, w := range c.Argv {
		words[i] = shellWord(clean(w))
	}
	return strings.Join(words, " ")
}
