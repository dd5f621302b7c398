package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
)

const generated = "<!-- Written by `make docs` from the code. Change it there. -->\n\n"

func driversPage(src *source, drivers []driver.Factory) (string, error) {
	var b strings.Builder
	b.WriteString("# Drivers\n\n" + generated)
	b.WriteString("The block of a target holds `driver: NAME` and the options of that driver. `flip drivers NAME` prints the same.\n")
	for _, d := range drivers {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", d.Name, sentence(d.Summary))
		if err := optionsTable(&b, src, d.Config); err != nil {
			return "", fmt.Errorf("driver %s: %w", d.Name, err)
		}
		if _, members := d.Member(); members && !d.Counts {
			b.WriteString("\nIt cannot tell what is in flight on a member: a drain needs `count` or `metric`.\n")
		}
		for _, k := range d.Kinds {
			kindSection(&b, k)
		}
	}
	return b.String(), nil
}

func kindSection(b *strings.Builder, k driver.Kind) {
	role := "named by `" + strings.Join(k.Selector, "`, `") + "`"
	if k.Member {
		role = "a member: it can be in groups"
	}
	fmt.Fprintf(b, "\n### %s, %s\n\n", k.Name, role)
	if k.Doc != "" {
		fmt.Fprintf(b, "%s.\n\n", sentence(k.Doc))
	}
	b.WriteString("| attribute | values | |\n| --- | --- | --- |\n")
	for _, a := range k.Attributes {
		doc := a.Doc
		if a.ReadOnly {
			doc += " (read only)"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", a.Name, cell(a.Accepts()), cell(strings.TrimSpace(doc)))
	}
}

func gatesPage(src *source, kinds []gate.Kind) (string, error) {
	var b strings.Builder
	b.WriteString("# Gates\n\n" + generated)
	b.WriteString("A gate of a plan holds the name of one kind with its options, and beside it `every`, `timeout`, `for`, `passes`, `failures`\n" +
		"and `each`, which are the same for all kinds. See [the guide](guide.md#gates).\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n", k.Name, sentence(k.Summary))
		if err := optionsTable(&b, src, k.Config); err != nil {
			return "", fmt.Errorf("gate %s: %w", k.Name, err)
		}
	}
	if err := membersSection(&b, src); err != nil {
		return "", err
	}
	return b.String(), nil
}

// membersSection is what a drain asks of the members themselves.
func membersSection(b *strings.Builder, src *source) error {
	b.WriteString("\n# What a drain asks of members\n\n" +
		"Not gates, but as gates they ask over HTTP. `count` tells what is in flight on a member, `ask` and `kill` make it do\n" +
		"something; `member` is known in all of them. See [the guide](guide.md#drain).\n")
	for _, k := range gate.Counts() {
		fmt.Fprintf(b, "\n## count: %s\n\n%s.\n", k.Name, sentence(k.Summary))
		if err := optionsTable(b, src, k.Config); err != nil {
			return fmt.Errorf("count %s: %w", k.Name, err)
		}
	}
	b.WriteString("\n## ask: http, kill: http\n\nA call that makes the member do something.\n")
	return optionsTable(b, src, gate.AskConfig{})
}

func optionsTable(b *strings.Builder, src *source, config any) error {
	t := reflect.TypeOf(config)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	list, err := src.options(t, "")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		b.WriteString("\nIt has no options.\n")
		return nil
	}
	b.WriteString("\n| option | values | |\n| --- | --- | --- |\n")
	for _, o := range list {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", o.key, cell(o.accepts), cell(o.doc))
	}
	return nil
}

// sentence is text with a capital and without its full stop.
func sentence(text string) string {
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// cell keeps a text inside its cell of a table.
func cell(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
