package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/ui"
)

// settings are what every command understands. Each has a flag, an environment
// variable FLIP_<FLAG> and a key in a settings file.
type settings struct {
	stateDir string
	output   string
	color    string
	verbose  bool
	noInput  bool
	config   string
}

// notSettings are flags that belong to one call only.
var notSettings = []string{"help", "version", "config", "var", "var-file"}

func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.stateDir, "state-dir", filepath.Join(xdg.StateHome, "flip"), "where runs and locks are kept")
	f.StringVarP(&s.output, "output", "o", "text", "text or json")
	f.StringVar(&s.color, "color", "auto", "auto, always or never")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "show every observation, and debug logs")
	f.BoolVar(&s.noInput, "no-input", false, "never ask")
	f.StringVar(&s.config, "config", "", "settings file (default ./flip.yaml, then "+filepath.Join(xdg.ConfigHome, "flip", "flip.yaml")+")")
}

// fill gives every flag that was not typed its value from the environment,
// else from a settings file.
func (s *settings) fill(f *pflag.FlagSet, getenv func(string) (string, bool)) error {
	v := viper.New()
	if err := s.read(v, f, getenv); err != nil {
		return err
	}
	var failed error
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed || slices.Contains(notSettings, flag.Name) || failed != nil {
			return
		}
		env := "FLIP_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if text, ok := getenv(env); ok && text != "" {
			if err := flag.Value.Set(text); err != nil {
				failed = usage(badValue(env+"="+text, flag), "")
			}
			return
		}
		if v.IsSet(flag.Name) {
			if err := flag.Value.Set(v.GetString(flag.Name)); err != nil {
				failed = usage(badValue(v.ConfigFileUsed()+": "+flag.Name+": "+v.GetString(flag.Name), flag), "")
			}
		}
	})
	switch {
	case failed != nil:
		return failed
	case s.output != "text" && s.output != "json":
		return usage(fmt.Errorf("--output %s: not text or json", s.output), "")
	case s.color != "auto" && s.color != "always" && s.color != "never":
		return usage(fmt.Errorf("--color %s: not auto, always or never", s.color), "")
	}
	return nil
}

// read loads the first settings file that there is. A plan is not one, though
// it may have the same name.
func (s *settings) read(v *viper.Viper, f *pflag.FlagSet, getenv func(string) (string, bool)) error {
	files := []string{s.config}
	if s.config == "" {
		if env, ok := getenv("FLIP_CONFIG"); ok && env != "" {
			files = []string{env}
		} else {
			files = []string{"flip.yaml", filepath.Join(xdg.ConfigHome, "flip", "flip.yaml")}
		}
	}
	for _, file := range files {
		v.SetConfigFile(file)
		err := v.ReadInConfig()
		var absent viper.ConfigFileNotFoundError
		switch {
		case len(files) > 1 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.As(err, &absent)):
			continue
		case len(files) > 1 && errors.Is(err, fs.ErrPermission):
			return usage(fmt.Errorf("settings: %w", err), "is HOME that of another user? Name a file with --config, or set XDG_CONFIG_HOME")
		case err != nil:
			return usage(fmt.Errorf("settings: %w", err), "")
		case (v.IsSet("flip") || v.IsSet("steps")) && len(files) == 1:
			return usage(fmt.Errorf("settings: %s is a plan", file), "flip run %s", file)
		case v.IsSet("flip") || v.IsSet("steps"):
			v.Set("flip", nil)
			*v = *viper.New()
			continue
		}
		return s.known(v, f)
	}
	return nil
}

// known refuses keys that no flag has.
func (s *settings) known(v *viper.Viper, f *pflag.FlagSet) error {
	names := []string{"live", "lock-wait", "detach-on-wait", "on-interrupt", "on-drift", "yes", "no-rollback"}
	f.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	for _, key := range v.AllKeys() {
		if !slices.Contains(names, key) {
			err := fmt.Errorf("settings: %s: unknown key %q", v.ConfigFileUsed(), key)
			if near := plan.Nearest(key, names); near != "" {
				return usage(err, "did you mean %q?", near)
			}
			return usage(err, "keys are the names of flags: flip run --help")
		}
	}
	return nil
}

// color decides by flag, NO_COLOR, CLICOLOR_FORCE and the terminal.
func (a *App) color() bool {
	if a.settings.color != "auto" {
		return a.settings.color == "always"
	}
	if v, ok := a.Getenv("NO_COLOR"); ok && v != "" {
		return false
	}
	if v, ok := a.Getenv("CLICOLOR_FORCE"); ok && v != "" && v != "0" {
		return true
	}
	dumb, _ := a.Getenv("TERM")
	return ui.TerminalWidth(a.Err) > 0 && dumb != "dumb"
}

// zone is the machine's, but UTC in pipelines: their machines differ.
func (a *App) zone() *time.Location {
	if ci, _ := a.Getenv("CI"); ci == "true" {
		return time.UTC
	}
	return time.Local
}

// interactive reports whether flip may ask.
func (a *App) interactive() bool {
	return a.TTY && !a.settings.noInput && a.settings.output == "text"
}

func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	var at *fs.PathError
	switch {
	case err == nil:
		return b, nil
	case path == "-" || strings.Contains(path, "://"):
		return nil, usage(fmt.Errorf("%s: a plan is a local file: a run that is resumed reads it again", path), "fetch it first, look at it, then give its name")
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%s: no such file", path)
	case errors.As(err, &at):
		err = fmt.Errorf("%s: %w", path, at.Err)
	}
	if here, globErr := filepath.Glob("*.yaml"); globErr == nil && len(here) > 0 {
		return nil, usage(err, "YAML files here: %s", strings.Join(here[:min(len(here), 10)], ", "))
	}
	return nil, usage(err, "name the plan's file; there is no YAML file here")
}
