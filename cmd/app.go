// Package cmd is the command line: one file for each verb, which turns flags
// into one call of a package and prints what it returns.
package cmd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/ui"
)

// version is set by the linker; a build without it says what Go knows.
var version = ""

// App is what the commands are lent: streams, environment, drivers.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) (string, bool)
	Drivers  *driver.Registry
	Gates    *gate.Registry
	// Signals are the operator's stops; nil means none.
	Signals <-chan os.Signal
	// TTY: people are at the other end of In and Err.
	TTY bool
	// Driving is called once this process begins to drive a run.
	Driving func()
	// OnRecord hears of every record when it is durable, before anybody sees
	// it; nil for nothing. Tests end the process there.
	OnRecord func(journal.Record)
	// Files and Runner, where they are set, change how runs are kept and
	// driven. Tests make disks full and leases short with them.
	Files  func(*journal.FileOptions)
	Runner func(*engine.Runner)

	args     []string
	settings settings
	// onlyLooks is the hint of a command that executes nothing of a plan.
	onlyLooks string
	redact    *secret.Redactor
	log       *slog.Logger
}

// Main runs flip with the process's own arguments and streams and returns its
// exit code.
func Main() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup does
		signal.Notify(signals, syscall.SIGHUP)
	}
	app := &App{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.LookupEnv,
		Drivers: all.Drivers(), Gates: gate.Kinds(), Signals: signals, Driving: outliveReaders,
		TTY: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("CI") != "true",
	}
	return app.Run(context.Background(), os.Args[1:])
}

// outliveReaders makes writing to a pipe that nobody reads an error instead of
// the end of the process: `flip run | head` must not leave a run in doubt. It
// catches the signal, because one that is ignored would be so in commands too.
func outliveReaders() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// Run executes one command line and returns the exit code.
func (a *App) Run(ctx context.Context, args []string) int {
	a.redact = &secret.Redactor{}
	a.log = slog.New(slog.DiscardHandler)
	a.args = args
	root := a.root()
	root.SetArgs(args)
	err := unknownCommand(root, root.ExecuteContext(ctx))
	if err == nil {
		return ExitDone
	}
	code := exitCode(err)
	var done *exitError
	if errors.As(err, &done) && done.err == nil {
		return code // what there is to say was said
	}
	a.printError(err)
	return code
}

func (a *App) root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "flip",
		Short:         "Release software and migrate traffic with no lost request",
		Long:          "flip runs a plan step by step over the load balancers, registries and DNS that you have,\nwith health gates and drains between the steps, and puts everything back when one fails.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       a.version(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.prepare(cmd)
		},
	}
	cmd.SetIn(a.In)
	cmd.SetOut(a.Out)
	cmd.SetErr(a.Err)
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(err, c.CommandPath()) })
	a.settings.flags(cmd.PersistentFlags())
	cmd.AddCommand(
		a.lintCommand(), a.planCommand(), a.runCommand(), a.resumeCommand(), a.rollbackCommand(), a.stopCommand(),
		a.approveCommand(), a.statusCommand(), a.listCommand(), a.showCommand(), a.logsCommand(), a.getCommand(),
		a.unlockCommand(), a.rehearseCommand(), a.driftCommand(), a.resolveCommand(), a.driversCommand(), a.schemaCommand(), a.versionCommand(),
	)
	for _, c := range cmd.Commands() {
		if takesRun(c) {
			c.ValidArgsFunction = a.completeRun
		}
	}
	return cmd
}

// prepare fills in settings from environment and files, and opens the log.
func (a *App) prepare(cmd *cobra.Command) error {
	if err := a.settings.fill(cmd.Flags(), a.Getenv); err != nil {
		return err
	}
	if a.settings.verbose {
		a.log = slog.New(slog.NewTextHandler(redactWriter{a.Err, a.redact}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return nil
}

// redactWriter replaces known secrets in everything that passes.
type redactWriter struct {
	w io.Writer
	r *secret.Redactor
}

func (w redactWriter) Write(p []byte) (int, error) {
	if _, err := w.w.Write(w.r.Bytes(append([]byte(nil), p...))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (a *App) version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "dev"
}

func (a *App) uiOptions() ui.Options {
	return ui.Options{Width: ui.TerminalWidth(a.Out), Color: a.color(), Verbose: a.settings.verbose, Location: a.zone()}
}

func (a *App) printError(err error) {
	w := redactWriter{a.Err, a.redact}
	if ci, _ := a.Getenv("GITHUB_ACTIONS"); ci == "true" {
		_ = ui.WriteAnnotations(w, err)
	}
	if table := tableOf(err); table != "" {
		err = &tabled{err, table}
	}
	_ = ui.WriteError(w, err, a.uiOptions())
}
