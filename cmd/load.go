package cmd

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/secret"
)

// planFlags are the flags of every command that takes a plan.
type planFlags struct {
	vars  []string
	files []string
	live  string
}

func (p *planFlags) add(f *pflag.FlagSet) {
	f.StringArrayVar(&p.vars, "var", nil, "a variable of the plan: name=value (also FLIP_VAR_name)")
	f.StringArrayVar(&p.files, "var-file", nil, "a YAML file of variables")
}

func (p *planFlags) addLive(f *pflag.FlagSet) {
	f.StringVar(&p.live, "live", "", "the group that is live, instead of asking the systems")
}

// load reads a plan file with its variables.
func (a *App) load(path string, p planFlags, missing bool) (plan.Plan, error) {
	text, err := readFile(path)
	if err != nil {
		return plan.Plan{}, err
	}
	vars := map[string]string{}
	for _, v := range p.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return plan.Plan{}, usage(fmt.Errorf("--var %s: no value", v), "--var %s=...", v)
		}
		vars[name] = value
	}
	return plan.Load(text, plan.Options{File: path, Vars: vars, VarFiles: p.files, Getenv: a.Getenv, AllowMissing: missing})
}

// checkLive refuses a side that the plan does not have.
func (p *planFlags) checkLive(of plan.Plan) error {
	switch {
	case p.live == "" || slices.Contains(of.Alternate, p.live):
		return nil
	case len(of.Alternate) == 0:
		return usage(fmt.Errorf("--live %s: the plan has no sides", p.live), "add `alternate: [blue, green]` to the plan, or leave --live out")
	}
	return usage(fmt.Errorf("--live %s: no such side", p.live), "the sides are %s", strings.Join(of.Alternate, " and "))
}

// world is what the engine is lent.
func (a *App) world() engine.World {
	secrets := secret.NewResolver(a.redact)
	secrets.Getenv = a.Getenv
	secrets.NoCommands = a.onlyLooks
	return engine.World{Drivers: a.Drivers, Gates: a.Gates, Secrets: secrets, Log: a.log}
}

// open reads and opens a plan.
func (a *App) open(ctx context.Context, path string, p planFlags) (*engine.Program, error) {
	loaded, err := a.load(path, p, false)
	if err != nil {
		return nil, err
	}
	return engine.Open(ctx, loaded, a.world())
}

// openLive opens a plan that is to be bound to its live side. The caller closes
// the program.
func (a *App) openLive(ctx context.Context, path string, p planFlags) (*engine.Program, error) {
	prog, err := a.open(ctx, path, p)
	if err != nil {
		return nil, err
	}
	if err := p.checkLive(prog.Plan); err != nil {
		return nil, errors.Join(err, prog.Close())
	}
	return prog, nil
}

// store opens the state directory. on hears of every record and look.
func (a *App) store(on func(journal.Record)) (*journal.FileStore, *journal.Locks, error) {
	o := journal.FileOptions{Log: a.log, Redact: a.redact.Bytes, OnRecord: on}
	if a.Files != nil {
		a.Files(&o)
	}
	store, err := journal.NewFileStore(a.settings.stateDir, o)
	if err != nil {
		return nil, nil, err
	}
	return store, journal.NewLocks(a.settings.stateDir, journal.LocksOptions{Ended: store.Ended, Log: a.log}), nil
}

func (a *App) runner(on func(journal.Record)) (*engine.Runner, error) {
	store, locks, err := a.store(on)
	if err != nil {
		return nil, err
	}
	r := &engine.Runner{World: a.world(), Store: store, Locks: locks, Version: a.version(), Who: who(a.Getenv), GateEnv: gate.Env{}}
	if a.Runner != nil {
		a.Runner(r)
	}
	return r, nil
}

// who names the person or pipeline that drives a run.
func who(getenv func(string) (string, bool)) string {
	if v, ok := getenv("FLIP_WHO"); ok && v != "" {
		return v
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
