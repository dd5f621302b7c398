package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/resolve"
)

// resolveFlags are the flags of flip resolve.
type resolveFlags struct {
	plan    planFlags
	file    string
	from    []string
	clients []string
	expect  string
	watch   bool
	every   time.Duration
	end     time.Duration
}

func (a *App) resolveCommand() *cobra.Command {
	var r resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve NAME [TYPE]",
		Short: "Show what a name resolves to from several places; change nothing",
		Long: `Looks a name up from every place that --from names, all at once, and shows what each sees, how long that may
still be kept, and whether the answer has authority (aa). A place that does not answer is unknown, with the reason.

Places: views of a plan (--plan) by name, and
  system                        the resolver of this machine, with its hosts file
  dns:ADDRESS[:PORT]            a recursive server
  doh:URL, doh+json:URL         DNS over HTTPS, as RFC 8484 or as JSON
  httpdns:ADDRESS[@CLIENT]      an HTTPDNS service, as for a client with that address
Without --from: every view of the plan, and without a plan the system.

Asking a resolver fills its cache: what it answers now it will answer for the TTL that is shown.

Exit codes:
  0 asked   2 --expect: a place sees something else   3 bad usage or plan
  4 no place sees anything, or with --expect: one that has to decide is unknown`,
		Example: `  flip resolve www.example.com
  flip resolve www.example.com AAAA --from dns:10.0.0.2,doh:https://resolver.example/dns-query
  flip resolve www.example.com --from httpdns:203.0.113.1 --client-ip 1.1.1.1,223.104.212.138
  flip resolve www.example.com --plan move.yaml --from auth,isp --watch
  flip resolve www.example.com --plan move.yaml --expect 192.0.2.2 --watch --for 1h`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("NAME is missing"), "flip %s", cmd.Use)
			}
			return maxArgs(2)(cmd, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return resolve.Types(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := resolve.ParseQuestion(strings.Join(args, " "))
			if err != nil {
				return usage(err, "")
			}
			rule, err := r.rule(q)
			if err != nil {
				return err
			}
			ctx, stop := a.untilStopped(cmd.Context())
			defer stop()
			views, done, err := a.viewsFor(r)
			if err != nil {
				return err
			}
			defer done()
			w := &nameWatch{app: a, q: q, views: views, rule: rule}
			if r.watch {
				return w.watch(ctx, r.every, r.end)
			}
			return w.once(ctx)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&r.from, "from", nil, "from where: views of the plan, "+resolve.Specs)
	f.StringVar(&r.file, "plan", "", "the plan whose views --from names")
	f.StringSliceVar(&r.clients, "client-ip", nil, "ask on behalf of clients with these addresses (HTTPDNS; one also for dns and doh)")
	f.StringVar(&r.expect, "expect", "", "the values that every place has to see, with commas between")
	f.BoolVarP(&r.watch, "watch", "w", false, "look again and again and show what changes, until Ctrl-C or as --expect says")
	f.DurationVar(&r.every, "every", 2*time.Second, "with --watch: how often")
	f.DurationVar(&r.end, "for", 0, "with --watch: end after this long")
	r.plan.add(f)
	_ = cmd.MarkFlagFilename("plan", "yaml", "yml")
	_ = cmd.RegisterFlagCompletionFunc("from", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return a.completeViews(r), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// rule is what --expect asks for, nil without it.
func (r resolveFlags) rule(q resolve.Question) (*resolve.Rule, error) {
	switch {
	case r.every <= 0, r.end < 0:
		return nil, usage(errors.New("--every and --for are longer than nothing"), "")
	case r.end > 0 && !r.watch:
		return nil, usage(errors.New("--for ends a --watch"), "add --watch")
	case r.expect == "":
		return nil, nil //nolint:nilnil // nothing is expected
	}
	e, err := resolve.Expectation{Set: strings.Split(r.expect, ",")}.For(q)
	if err != nil {
		return nil, usage(fmt.Errorf("--expect: %w", err), "")
	}
	return &resolve.Rule{Expect: e}, nil
}

// clientIPs reads --client-ip.
func (r resolveFlags) clientIPs() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range r.clients {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, usage(fmt.Errorf("--client-ip %s: not an address", text), "like --client-ip 1.1.1.1")
		}
		all = append(all, a)
	}
	return all, nil
}

// untilStopped is ctx until the operator's first stop.
func (a *App) untilStopped(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	if a.Signals == nil {
		return ctx, cancel
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-a.Signals:
			cancel()
		case <-done:
		}
	}()
	return ctx, func() { close(done); cancel(); <-ended }
}

// unseen is the error when no place saw anything.
func unseen(q resolve.Question) error {
	return &exitError{ExitPrecondition, hint.Wrap(fmt.Errorf("no place sees %s", q), "look at the reasons above; a blocked port says nothing about the name")}
}
