package engine

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// scripted is a Context that answers restores as a test says, and notes what
// is asked of it.
type scripted struct {
	Context
	restored map[string]journal.Restored // by phase
	did      []string
	drained  []string
}

func (s *scripted) Do(key, activity string, in, out any) error {
	switch in := in.(type) {
	case journal.Restore:
		s.did = append(s.did, "restore "+in.Phase)
		assign(out, s.restored[in.Phase])
	case journal.Drain:
		s.did = append(s.did, "drain "+in.Target)
		s.drained = append(s.drained, in.IDs...)
		assign(out, journal.Drained{Quiet: true})
	case journal.Command:
		s.did = append(s.did, "run")
		assign(out, journal.Exit{})
	}
	return nil
}

// counting is a driver that tells what is in flight.
type counting struct{ driver.Driver }

func (counting) InFlight(context.Context, []string) (map[string]driver.Flight, error) {
	return nil, nil
}

func TestTheUndoOfACommandWaitsForTheBackendThatAMapEntryLeft(t *testing.T) {
	server := driver.Kind{Name: "server", Member: true, Capacity: func(map[string]state.Value) float64 { return 1 }}
	entry := driver.Kind{Name: "map", Selector: []string{"map", "key"}}
	object := func(kind, name, backend string) PinnedObject {
		return PinnedObject{Kind: kind, Name: name, Info: map[string]string{"backend": backend}}
	}
	for name, c := range map[string]struct {
		from, to state.Value
		waits    []string
		did      []string
	}{
		"it led to the new backend":     {state.Text("be_green"), state.Text("be_blue"), []string{"g1", "g2"}, []string{"restore raise", "restore lower", "drain web", "run"}},
		"it was made by the run":        {state.Text("be_green"), state.Absent, []string{"g1", "g2"}, []string{"restore raise", "restore lower", "drain web", "run"}},
		"it was taken away by the run":  {state.Absent, state.Text("be_blue"), nil, []string{"restore raise", "restore lower", "run"}},
		"it names no backend of a plan": {state.Text("be_other"), state.Text("be_blue"), nil, []string{"restore raise", "restore lower", "run"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Program{
				Infos:   map[string]driver.Info{"web": {Name: "haproxy", Kinds: []driver.Kind{server, entry}}},
				Targets: map[string]driver.Driver{"web": counting{}},
				Pins: Pins{Targets: map[string]PinnedTarget{"web": {Objects: map[string]PinnedObject{
					"g1": object("server", "g1", "be_green"), "g2": object("server", "g2", "be_green"), "b1": object("server", "b1", "be_blue"),
					"host": {Kind: "map", Name: "host"},
				}}}},
			}
			ours := state.Change{Target: "web", Object: "host", Attribute: "value", From: c.to, To: c.from}
			back := state.Change{Target: "web", Object: "host", Attribute: "value", From: c.from, To: c.to}
			s := &scripted{restored: map[string]journal.Restored{"raise": {Changes: []state.Change{back}}}}
			report := Undo(s, p, []journal.Effect{
				{Kind: journal.ActivityRun, Done: true, Command: journal.Command{Shell: "start green", Undo: &journal.Command{Shell: "stop green"}}},
				{Kind: journal.ActivityApply, Target: "web", Done: true, Changes: []state.Change{ours}},
			}, UndoOptions{Attempt: 1})
			if report.Err != nil {
				t.Fatal(report.Err)
			}
			if diff := cmp.Diff(c.did, s.did); diff != "" {
				t.Errorf("the way back (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.waits, s.drained); diff != "" {
				t.Errorf("members that it waits for (-want +got):\n%s", diff)
			}
		})
	}
}
