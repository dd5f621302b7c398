package driver_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

var (
	weight  = driver.Attribute{Name: "weight", Type: driver.TypeInt, Min: 0, Max: 256}
	share   = driver.Attribute{Name: "share", Type: driver.TypeNumber, Min: 0, Max: 1}
	port    = driver.Attribute{Name: "port", Type: driver.TypeInt}
	enabled = driver.Attribute{Name: "enabled", Type: driver.TypeBool}
	mode    = driver.Attribute{Name: "state", Type: driver.TypeEnum, Enum: []string{"ready", "drain", "maint"}}
	address = driver.Attribute{Name: "address", Type: driver.TypeText}
	values  = driver.Attribute{Name: "values", Type: driver.TypeList}
	ordered = driver.Attribute{Name: "values", Type: driver.TypeList, Ordered: true}
	kept    = driver.Attribute{Name: "ephemeral", Type: driver.TypeBool, ReadOnly: true}
)

func TestAnAttributeAcceptsItsValuesOnly(t *testing.T) {
	tests := map[string]struct {
		attr driver.Attribute
		v    state.Value
		want string // the error, empty for none
	}{
		"the smallest int":      {weight, state.Int(0), ""},
		"the largest int":       {weight, state.Int(256), ""},
		"an int above":          {weight, state.Int(257), "weight is 0..256, not 257"},
		"an int below":          {weight, state.Int(-1), "weight is 0..256, not -1"},
		"half an int":           {weight, state.Float(0.5), "weight is 0..256, not 0.5"},
		"an absent int":         {weight, state.Absent, "weight is 0..256, not absent"},
		"an int without bounds": {port, state.Int(-70000), ""},
		"text without bounds":   {port, state.Text("http"), "port is int, not http"},
		"a number inside":       {share, state.Float(0.25), ""},
		"a number outside":      {share, state.Float(1.25), "share is 0..1, not 1.25"},
		"a boolean":             {enabled, state.Bool(false), ""},
		"a number as boolean":   {enabled, state.Int(1), "enabled is true|false, not 1"},
		"one of the words":      {mode, state.Text("drain"), ""},
		"another word":          {mode, state.Text("Drain"), "state is ready|drain|maint, not Drain"},
		"text":                  {address, state.Text("10.0.0.1:80"), ""},
		"a list as text":        {address, state.List([]string{"a", "b"}), "address is text, not a, b"},
		"absent text":           {address, state.Absent, "address is text, not absent"},
		"a list":                {values, state.List([]string{"a", "b"}), ""},
		"an empty list":         {values, state.List(nil), ""},
		"an absent list":        {values, state.Absent, "values is list, not absent"},
		"what can only be read": {kept, state.Bool(true), "ephemeral can be read but not set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, text(test.attr.Check(test.v))); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAPlansValueBecomesTheValueThatADriverReads(t *testing.T) {
	tests := map[string]struct {
		attr driver.Attribute
		in   any
		want state.Value
		err  string
	}{
		"a number":                       {weight, uint64(100), state.Int(100), ""},
		"a template's text as a number":  {weight, "100", state.Int(100), ""},
		"a whole fraction":               {weight, 100.0, state.Int(100), ""},
		"text that is no number":         {weight, "all", `"all"`, "weight is 0..256, not all"},
		"text that is not finite":        {weight, "inf", `"inf"`, "weight is 0..256, not inf"},
		"a list as a number":             {weight, []any{uint64(1)}, `["1"]`, "weight is 0..256, not 1"},
		"null":                           {weight, nil, state.Absent, "weight is 0..256, not absent"},
		"null as text":                   {address, nil, state.Absent, "address is text, not absent"},
		"null as a list":                 {values, nil, state.Absent, "values is list, not absent"},
		"a template's text as a boolean": {enabled, "false", state.Bool(false), ""},
		"a boolean as text":              {address, true, state.Text("true"), ""},
		"a number as text":               {address, uint64(8080), state.Text("8080"), ""},
		"a list whose order counts":      {ordered, []any{"b", "a"}, state.Sequence([]string{"b", "a"}), ""},
		"one item of an ordered list":    {ordered, "192.0.2.1", state.List([]string{"192.0.2.1"}), ""},
		"a sequence":                     {ordered, state.Sequence([]string{"b", "a"}), state.Sequence([]string{"b", "a"}), ""},
		"an ordered list without values": {ordered, nil, state.Absent, "values is list, not absent"},
		"one item as a list":             {values, "192.0.2.1", state.List([]string{"192.0.2.1"}), ""},
		"a list":                         {values, []any{"b", "a"}, state.List([]string{"a", "b"}), ""},
		"a map":                          {values, map[string]any{}, state.Absent, "values: map[string]interface {} is not a value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.attr.Convert(test.in)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.err, text(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnInfoFindsItsKinds(t *testing.T) {
	info := driver.Info{Kinds: []driver.Kind{
		{Name: "map"},
		{Name: "server", Member: true, Attributes: []driver.Attribute{weight, mode}},
	}}
	if k, ok := info.Member(); !ok || k.Name != "server" {
		t.Errorf("the member kind is %q, %t", k.Name, ok)
	}
	k, ok := info.Kind("server")
	if !ok {
		t.Fatal("no kind server")
	}
	if a, ok := k.Attribute("state"); !ok || a.Accepts() != "ready|drain|maint" {
		t.Errorf("state accepts %q, %t", a.Accepts(), ok)
	}
	if _, ok := k.Attribute("wieght"); ok {
		t.Error("there is an attribute wieght")
	}
	if _, ok := info.Kind("record"); ok {
		t.Error("there is a kind record")
	}
	if _, ok := (driver.Info{}).Member(); ok {
		t.Error("an info without kinds has members")
	}
}

type config struct{ Backend string }

var errBackend = errors.New("backend is missing")

func (c *config) Validate() error {
	if c.Backend == "" {
		return errBackend
	}
	return nil
}

func decoder(text string) func(any) error {
	return func(into any) error { return json.Unmarshal([]byte(text), into) }
}

func TestAFactoryOpensOnlyWhatDecodesAndValidates(t *testing.T) {
	var opened []config
	f := driver.Define(driver.Info{Name: "x"}, func(_ context.Context, c config, _ driver.Env) (driver.Driver, error) {
		opened = append(opened, c)
		return nil, nil
	})
	if err := f.Check(decoder(`{}`)); !errors.Is(err, errBackend) {
		t.Errorf("check of an invalid block: %v", err)
	}
	if _, err := f.Open(t.Context(), decoder(`{}`), driver.Env{}); !errors.Is(err, errBackend) {
		t.Errorf("opening an invalid block: %v", err)
	}
	if _, err := f.Open(t.Context(), decoder(`{`), driver.Env{}); err == nil {
		t.Error("opened what does not decode")
	}
	if err := f.Check(decoder(`{"Backend": "be_web"}`)); err != nil || opened != nil {
		t.Errorf("check: %v, opened %v", err, opened)
	}
	if _, err := f.Open(t.Context(), decoder(`{"Backend": "be_web"}`), driver.Env{}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]config{{"be_web"}}, opened); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
}

func TestARegistryFindsDriversByName(t *testing.T) {
	r := driver.NewRegistry(driver.Factory{Info: driver.Info{Name: "nacos"}}, driver.Factory{Info: driver.Info{Name: "alb"}})
	if f, ok := r.Lookup("nacos"); !ok || f.Name != "nacos" {
		t.Errorf("found %q, %t", f.Name, ok)
	}
	if _, ok := r.Lookup("ncaos"); ok {
		t.Error("found ncaos")
	}
	var names []string
	for _, f := range r.All() {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"alb", "nacos"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestTwoDriversOfOneNameAreAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f := driver.Factory{Info: driver.Info{Name: "x"}}
	driver.NewRegistry(f, f)
}
