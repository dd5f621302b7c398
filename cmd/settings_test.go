package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adrg/xdg"
)

func TestASettingComesFromTheNearestPlaceThatHasIt(t *testing.T) {
	const none = "-"
	for _, c := range []struct {
		name, flag, env, here, user, want string
	}{
		{"nowhere: the default", none, none, none, none, "text"},
		{"the user's file", none, none, none, "json", "json"},
		{"the file here beats the user's", none, none, "text", "json", "text"},
		{"the environment beats files", none, "json", "text", "text", "json"},
		{"the flag beats all", "json", "text", "text", "text", "json"},
		{"a flag that says the default beats all too", "text", "json", "json", "json", "text"},
		{"an empty variable says nothing", none, "", "json", none, "json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, quickPlan)
			t.Setenv("XDG_CONFIG_HOME", filepath.Join(l.dir, "config"))
			xdg.Reload()
			t.Cleanup(xdg.Reload)
			for file, output := range map[string]string{"flip.yaml": c.here, "config/flip/flip.yaml": c.user} {
				if output == none {
					continue
				}
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("output: "+output+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.env != none {
				l.env["FLIP_OUTPUT"] = c.env
			}
			line := "version"
			if c.flag != none {
				line += " --output " + c.flag
			}
			l.must(ExitDone, line)
			if got := map[bool]string{true: "json", false: "text"}[strings.HasPrefix(l.out.String(), "{")]; got != c.want {
				t.Errorf("output is %s, want %s:\n%s", got, c.want, l.out.String())
			}
		})
	}
}

func TestSettingsThatMakeNoSenseAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, env, value, file, says string }{
		{"a duration in the environment", "FLIP_LOCK_WAIT", "soon", "", "FLIP_LOCK_WAIT=soon: not a duration like 30s, 5m or 1h30m"},
		{"a switch in the environment", "FLIP_YES", "perhaps", "", "FLIP_YES=perhaps: not true or false"},
		{"a duration in the file", "", "", "lock-wait: soon\n", "flip.yaml: lock-wait: soon: not a duration"},
		{"a key that no flag has", "", "", "lock-wiat: 1s\n", `unknown key "lock-wiat"`},
		{"a file that is not there", "FLIP_CONFIG", "nope.yaml", "", "nope.yaml"},
		{"a file that is not YAML", "", "", "{\n", "settings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, quickPlan)
			if c.env != "" {
				l.env[c.env] = c.value
			}
			if c.file != "" {
				if err := os.WriteFile("flip.yaml", []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l.must(ExitUsage, "run plan.yaml")
			l.says(c.says)
			if l.changed() {
				t.Error("the plan ran all the same")
			}
		})
	}
}

func TestAPlanNamedFlipYamlIsNotTakenForSettings(t *testing.T) {
	l := newLab(t, quickPlan)
	if err := os.Rename("plan.yaml", "flip.yaml"); err != nil {
		t.Fatal(err)
	}
	l.must(ExitDone, "run flip.yaml")
	l.must(ExitUsage, "run flip.yaml --config flip.yaml")
	l.says("is a plan")
}
