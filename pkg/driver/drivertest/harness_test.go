package drivertest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

// The promises of the suite, as short names for the table below.
const (
	same       = "reading changes nothing and says the same again"
	declared   = "every attribute that is read is declared and has an accepted value"
	named      = "a name finds its object on every node"
	located    = "locating an object that exists gives its ids"
	scoped     = "scopes name what is changed and stay the same"
	capacity   = "capacity is a share of the traffic and nothing without attributes"
	ended      = "a call whose context has ended returns soon with an error"
	hanging    = "a target that hangs holds no call beyond its deadline"
	broken     = "an unreachable target is an error that may pass, never an empty state"
	applied    = "what was applied is what is read, and nothing else moves"
	together   = "changes of one object can be made together"
	again      = "applying again, or nothing, is harmless"
	inverse    = "the inverse restores exactly what was before"
	drift      = "a value that somebody else wrote is drift and nothing of that object is written"
	unknown    = "an object that does not exist is not found, for good"
	creation   = "what is absent can be created and removed again"
	concurrent = "calls at the same time do not disturb each other"
	settling   = "settling ends, and ends with its context"
	healthy    = "every member is asked for its health and answers"
	inFlight   = "every member is asked for what is in flight and answers"
)

type bug struct {
	bend func(*bent)
	info func(*driver.Info)
	// fails are the promises that this bug breaks; every other one holds.
	fails []string
}

var bugs = map[string]bug{
	"appends to a list instead of replacing it": {
		bend:  func(b *bent) { b.apply = appending(b.Target) },
		fails: []string{applied, together, again, inverse, concurrent},
	},
	"ignores from": {
		bend:  func(b *bent) { b.apply = blind(b.Target) },
		fails: []string{drift},
	},
	"writes half of an object, then reports drift": {
		bend:  func(b *bent) { b.apply = oneByOne(b.Target) },
		fails: []string{drift},
	},
	"forgets an attribute when it applies": {
		bend: func(b *bent) {
			b.apply = func(ctx context.Context, changes []state.Change) error {
				return b.Target.Apply(ctx, without(changes, mem.TTL))
			}
		},
		// The drifted ttl is not looked at either, so its drift goes unseen.
		fails: []string{applied, together, again, inverse, drift, creation, concurrent},
	},
	"forgets an attribute when it reads": {
		bend: func(b *bent) {
			b.read = reading(b.Target, func(o state.Object) state.Object {
				delete(o.Attrs, mem.TTL)
				return o
			})
		},
		fails: []string{same, applied, together, again, inverse, drift, creation, concurrent},
	},
	"moves another object along": {
		bend: func(b *bent) {
			b.apply = func(ctx context.Context, changes []state.Change) error {
				err := b.Target.Apply(ctx, changes)
				for _, c := range changes {
					if c.Attribute == mem.Weight && err == nil {
						err = b.Set("lb1/bystander", mem.Weight, c.To)
					}
				}
				return err
			}
		},
		fails: []string{applied, together, again, inverse, concurrent},
	},
	"refuses what is already done": {
		bend:  func(b *bent) { b.apply = strict(b.Target) },
		fails: []string{again, inverse, creation},
	},
	"changes the target by reading it": {
		bend: func(b *bent) {
			n := 0
			b.read = func(ctx context.Context) (state.State, error) {
				n++
				return reading(b.Target, func(o state.Object) state.Object {
					if o.Name == "bystander" {
						o.Attrs[mem.Weight] = state.Int(n % 200)
					}
					return o
				})(ctx)
			}
		},
		fails: []string{same, applied, together, again, inverse, drift, unknown, creation, concurrent},
	},
	"shows an attribute that it does not declare": {
		bend: func(b *bent) {
			b.read = reading(b.Target, func(o state.Object) state.Object {
				o.Attrs["colour"] = state.Text("blue")
				return o
			})
		},
		fails: []string{declared, creation},
	},
	"leaves the name to the id": {
		bend: func(b *bent) {
			b.read = reading(b.Target, func(o state.Object) state.Object { o.Name = ""; return o })
		},
		fails: []string{named, located, creation},
	},
	"locates by other ids than it reads": {
		bend: func(b *bent) {
			b.locate = func(kind, name string) (map[string]state.Object, error) {
				found, err := b.Target.Locate(kind, name)
				moved := map[string]state.Object{}
				for id, o := range found {
					moved["new/"+id] = o
				}
				return moved, err
			}
		},
		fails: []string{located, creation},
	},
	"names no scope": {
		bend:  func(b *bent) { b.scopes = func() []string { return nil } },
		fails: []string{scoped},
	},
	"counts what is absent as capacity": {
		info: func(i *driver.Info) {
			i.Kinds[0].Capacity = func(map[string]state.Value) float64 { return 1 }
		},
		fails: []string{capacity},
	},
	"does not look at its context": {
		bend:  func(b *bent) { b.deaf = true },
		fails: []string{ended, hanging},
	},
	"says that an unreachable target is gone for good": {
		bend: func(b *bent) {
			b.read = func(ctx context.Context) (state.State, error) {
				s, err := b.Target.Read(ctx)
				return s, driver.Permanent(err)
			}
		},
		fails: []string{broken},
	},
	"reads an unreachable target as an empty one": {
		bend: func(b *bent) {
			b.read = func(ctx context.Context) (state.State, error) {
				s, err := b.Target.Read(ctx)
				if ctx.Err() == nil {
					err = nil
				}
				return s, err
			}
		},
		fails: []string{broken},
	},
	"drains what it cannot see": {
		bend: func(b *bent) {
			b.flight = func(_ context.Context, ids []string) (map[string]driver.Flight, error) {
				all := map[string]driver.Flight{}
				for _, id := range ids {
					all[id] = driver.Flight{}
				}
				return all, nil
			}
		},
		fails: []string{broken},
	},
	"answers for one member only": {
		bend: func(b *bent) {
			b.flight = func(ctx context.Context, ids []string) (map[string]driver.Flight, error) {
				return b.Target.InFlight(ctx, ids[:1])
			}
			b.health = func(ctx context.Context, ids []string) (map[string]driver.Health, error) {
				return b.Target.Health(ctx, ids[:1])
			}
		},
		fails: []string{healthy, inFlight},
	},
	"says that a missing object may come back": {
		bend: func(b *bent) {
			b.apply = func(ctx context.Context, changes []state.Change) error {
				err := b.Target.Apply(ctx, changes)
				if errors.Is(err, driver.ErrNotFound) {
					return driver.ErrNotFound
				}
				return err
			}
		},
		fails: []string{unknown},
	},
	"loses writes of others between its own read and write": {
		bend:  func(b *bent) { b.apply = readModifyWrite(b.Target) },
		fails: []string{concurrent},
	},
	"settles although it was cancelled": {
		bend: func(b *bent) {
			b.settle = func(context.Context, []state.Change) error { return nil }
		},
		fails: []string{settling},
	},
}

const seededBug = "FLIP_TEST_SEEDED_BUG"

// Without a bug this is one more run of the contract; TestEveryBugIsFound runs
// it again in processes of their own, each with one bug.
func TestContract(t *testing.T) {
	b := bugs[os.Getenv(seededBug)]
	info := mem.Info()
	if b.info != nil {
		b.info(&info)
	}
	drivertest.Run(t, harness(info, func(m *mem.Target) *bent {
		d := straight(m)
		if b.bend != nil {
			b.bend(d)
		}
		return d
	}))
}

func TestEveryBugIsFoundByThePromisesThatItBreaks(t *testing.T) {
	failed := regexp.MustCompile(`(?m)^ +--- FAIL: TestContract/(\S+)`)
	for name, b := range bugs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestContract$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), seededBug+"="+name)
			out, err := cmd.CombinedOutput()
			if _, exited := errors.AsType[*exec.ExitError](err); !exited {
				t.Fatalf("the suite accepts this driver (%v):\n%s", err, out)
			}
			var got []string
			for _, m := range failed.FindAllStringSubmatch(string(out), -1) {
				got = append(got, strings.ReplaceAll(m[1], "_", " "))
			}
			slices.Sort(got)
			if diff := cmp.Diff(slices.Sorted(slices.Values(b.fails)), got); diff != "" {
				t.Errorf("broken promises (-want +got):\n%s\n%s", diff, out)
			}
		})
	}
}

func harness(info driver.Info, bend func(*mem.Target) *bent) drivertest.Harness {
	const www = "www.example.com A"
	one, two := state.List([]string{"192.0.2.1"}), state.List([]string{"192.0.2.2"})
	return drivertest.Harness{
		Info: info,
		Open: func(*testing.T) drivertest.Target {
			m := mem.New(mem.Options{
				Nodes:   []string{"lb1", "lb2"},
				Pool:    map[string]mem.Member{"web1": {Weight: 100}, "bystander": {Weight: 1}},
				Records: map[string]mem.RRset{www: {Values: []string{"192.0.2.1"}, TTL: 3600}},
			})
			breakAll := func(t *testing.T) {
				for _, node := range []string{"", "lb1", "lb2"} {
					if err := m.Break(node, "connection refused"); err != nil {
						t.Error(err)
					}
				}
			}
			d := bend(m)
			return drivertest.Target{
				Driver: d,
				Outside: func(t *testing.T, c state.Change) {
					if err := m.Set(c.Object, c.Attribute, c.To); err != nil {
						t.Error(err)
					}
				},
				Break: breakAll,
				Hang:  func(*testing.T) { d.hung.Store(true) },
			}
		},
		Settable: []drivertest.Settable{
			{Objects: []string{"lb1/web1", "lb2/web1"}, Attribute: mem.Weight, A: state.Int(100), B: state.Int(0), C: state.Int(7)},
			{Objects: []string{"lb1/web1"}, Attribute: mem.State, A: state.Text("ready"), B: state.Text("drain"), C: state.Text("maint")},
			{Objects: []string{www}, Attribute: mem.Values, A: one, B: two, C: state.List([]string{"203.0.113.9"})},
			{Objects: []string{www}, Attribute: mem.TTL, A: state.Int(3600), B: state.Int(60), C: state.Int(61)},
		},
		Create: &drivertest.Creation{Kind: mem.Record, Name: "new.example.com A", Attrs: map[string]state.Value{
			mem.Values: one, mem.TTL: state.Int(60),
		}},
		Unknown: "lb3/web1",
		Shows:   100 * time.Millisecond,
		Soon:    2 * time.Second,
	}
}
