package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
)

// viewsFor opens the views that --from means. done closes what they opened.
func (a *App) viewsFor(r resolveFlags) (views []resolve.View, done func(), err error) {
	clients, err := r.clientIPs()
	if err != nil {
		return nil, nil, err
	}
	a.onlyLooks = noCommands
	var loaded plan.Plan
	if r.file != "" {
		if loaded, err = a.load(r.file, r.plan, false); err != nil {
			return nil, nil, err
		}
		if err := engine.Check(&loaded, a.Drivers, a.Gates); err != nil {
			return nil, nil, err
		}
	}
	words := r.from
	if len(words) == 0 {
		words = loaded.Views.Keys()
	}
	if len(words) == 0 {
		words = []string{"system"}
	}
	targets := &lazyTargets{app: a, plan: loaded}
	secrets := secret.NewResolver(a.redact)
	secrets.Getenv, secrets.NoCommands = a.Getenv, a.onlyLooks
	env := resolve.Env{Secrets: secrets, Log: a.log, NameServers: targets.nameServers}
	for i, word := range words {
		if slices.Contains(words[:i], word) {
			return nil, nil, usage(fmt.Errorf("--from: %s is named twice", word), "")
		}
		c, err := viewConfig(word, loaded)
		if err != nil {
			return nil, nil, err
		}
		v, err := resolve.New(viewName(word), c.ForClients(clients), env)
		if err != nil {
			return nil, nil, usage(fmt.Errorf("--from %s: %w", word, err), "")
		}
		views = append(views, v)
	}
	return views, targets.close, nil
}

// viewName is how a view is called in the output: its name, or its kind when it
// was written out on the command line (the place itself stands beside it).
func viewName(word string) string {
	kind, _, _ := strings.Cut(word, ":")
	return kind
}

// viewConfig finds what one word of --from means: a view of the plan, or a
// place that is written out.
func viewConfig(word string, p plan.Plan) (resolve.Config, error) {
	var c resolve.Config
	names := p.Views.Keys()
	if n, ok := p.Views.Get(word); ok {
		return c, n.Decode(&c, plan.Scope{"vars": p.Vars})
	}
	c, known, err := resolve.ParseSpec(word)
	switch {
	case err != nil:
		return c, usage(fmt.Errorf("--from %s: %w", word, err), "")
	case known:
		return c, nil
	}
	err = fmt.Errorf("--from: no view %q", word)
	if near := plan.Nearest(word, names); near != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, near)
	}
	if len(names) == 0 {
		return c, usage(err, "name a place: %s; or a plan with views: --plan", resolve.Specs)
	}
	return c, usage(err, "views of the plan: %s; or a place: %s", strings.Join(names, ", "), resolve.Specs)
}

// completeViews are the words that --from takes.
func (a *App) completeViews(r resolveFlags) []string {
	words := []string{"system", "dns:", "doh:", "doh+json:", "httpdns:"}
	if r.file == "" {
		return words
	}
	loaded, err := a.load(r.file, r.plan, true)
	if err != nil {
		return words
	}
	return append(loaded.Views.Keys(), words...)
}

// lazyTargets opens the plan's targets once a view needs one of them.
type lazyTargets struct {
	app  *App
	plan plan.Plan

	once sync.Once
	prog *engine.Program
	err  error
}

func (l *lazyTargets) nameServers(ctx context.Context, target, name string) ([]string, error) {
	// The targets outlive this look.
	l.once.Do(func() { l.prog, l.err = engine.Open(context.WithoutCancel(ctx), l.plan, l.app.world()) })
	if l.err != nil {
		return nil, l.err
	}
	d, ok := driver.As[driver.Authority](l.prog.Targets[target])
	if !ok {
		return nil, errors.New("target " + target + " has no name servers")
	}
	return d.NameServers(ctx, name)
}

func (l *lazyTargets) close() {
	l.once.Do(func() {})
	if l.prog != nil {
		_ = l.prog.Close()
	}
}
