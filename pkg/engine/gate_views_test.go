package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// edgeZone is a zone of which nobody sees the record edge.example.com A.
type edgeZone struct{}

func (edgeZone) Read(context.Context) (state.State, error) {
	objects := map[string]state.Object{}
	for _, name := range []string{"www.example.com A", "Edge.example.com. A", "odd.example.com A", "both.example.com A+AAAA"} {
		objects["zone/"+name] = state.Object{Kind: "record", Name: name, Attrs: map[string]state.Value{"ttl": state.Int(60)}}
	}
	return state.State{Objects: objects}, nil
}
func (edgeZone) Apply(context.Context, []state.Change) error { return nil }
func (edgeZone) Resolvable(_ context.Context, id string) error {
	switch id {
	case "zone/Edge.example.com. A", "zone/both.example.com A+AAAA":
		return hint.Wrap(errors.New("the record is proxied"), "turn the proxy off")
	case "zone/odd.example.com A":
		return errors.Join(driver.ErrUnknown, errors.New("it cannot be read now"))
	}
	return nil
}

func TestAGateOnARecordThatNobodySeesIsRefusedBeforeTheRun(t *testing.T) {
	info := driver.Info{Name: "zone", Summary: "a zone", Kinds: []driver.Kind{{Name: "record", Selector: []string{"record"}, Attributes: []driver.Attribute{{Name: "ttl", Type: driver.TypeInt, Max: 86400}}}}}
	zone := driver.Define(info, func(context.Context, struct{}, driver.Env) (driver.Driver, error) { return edgeZone{}, nil })
	drivers := driver.NewRegistry(zone)
	world := engine.World{
		Drivers: drivers, Gates: gate.Kinds(), Secrets: secret.NewResolver(&secret.Redactor{}), Log: slog.New(slog.DiscardHandler),
		View: func(string, func(any) error, resolve.Env) (resolve.View, error) { return nil, nil },
	}
	for gates, want := range map[string]string{
		"gates: {g: {resolve: {name: www.example.com A, set: 192.0.2.1}}}\nsteps: [{id: a, gate: g}]":                                       "",
		"steps: [{id: a, gate: {resolve: {name: edge.example.com, set: 192.0.2.1}}}]":                                                       "p.yaml:5:23: gate a: looking edge.example.com A up shows nothing of target z: the record is proxied",
		"gates: {g: {resolve: {name: '${{ vars.n }}', type: a, set: 192.0.2.1}}}\nsteps: [{id: a, wait: 1s, gate: g}]":                      "looking edge.example.com A up",
		"steps: [{id: a, gate: {resolve: {name: both.example.com, set: 192.0.2.1}}}]":                                                       "looking both.example.com A up",
		"steps: [{id: a, gate: {resolve: {name: BOTH.example.com. aaaa, set: '2001:db8::1'}}}]":                                             "looking both.example.com AAAA up",
		"steps: [{id: a, gate: {resolve: {name: both.example.com TXT, set: x}}}]":                                                           "",
		"steps: [{id: a, gate: {resolve: {name: edge.example.com AAAA, set: '2001:db8::1'}}}]":                                              "",
		"steps: [{id: a, gate: {resolve: {name: odd.example.com, set: 192.0.2.1}}}]":                                                        "",
		"steps: [{id: s, run: x, undo: none}, {id: a, gate: {resolve: {name: edge.example.com, set: '${{ steps.s.outputs.address }}'}}}]\n": "",
	} {
		p, err := plan.Load([]byte("flip: 1\nname: n\nvars: {n: {default: edge.example.com}}\ntargets: {z: {driver: zone}}\n"+gates+"\nviews: {v: {system: true}}\n"), plan.Options{File: "p.yaml"})
		if err != nil {
			t.Fatal(err)
		}
		prog, err := engine.Open(t.Context(), p, world)
		if err != nil {
			t.Fatal(err)
		}
		_, err = engine.Bind(t.Context(), prog, world, "")
		prog.Close()
		pre, refused := errors.AsType[*engine.PreconditionError](err)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", gates, err)
		case want != "" && (!refused || !strings.Contains(pre.Error(), want)):
			t.Errorf("%s: %v, want %q", gates, err, want)
		case want != "":
			if advice := strings.Join(hint.Of(err), "; "); !strings.Contains(advice, "turn the proxy off") || !strings.Contains(advice, ".example.com/...}}") {
				t.Errorf("the advice is %q", advice)
			}
		}
	}
}
