package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/journal"
)

// saysAll wants every text in what flip said.
func saysAll(tb testing.TB, got answer, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if !strings.Contains(got.out+got.err, text) {
			tb.Errorf("flip does not say %q in %s", text, got)
		}
	}
}

// spare is the four servers and one that belongs to neither side.
func spare() estate.Config {
	return estate.Config{Servers: append(blueAndGreen(), estate.Server{Name: "web5", Version: "v1", Weight: 10})}
}

func TestABadReleaseGoesBackAndLeavesOthersWorkAlone(t *testing.T) {
	t.Parallel()
	s := set(t, spare())
	before := s.picture()
	s.begin(nil)
	// At 25 % the new release begins to fail, while somebody works on a server that flip does not touch and on
	// another attribute of one that it does.
	s.once(journal.TypeDone, "/steps/shift/25.web.lower", func() {
		s.command("set server be_web/web5 weight 7")
		s.command("disable health be_web/web1")
		for _, name := range []string{"web3", "web4"} {
			if err := traffic.SetErrorRate(t.Context(), s.Addr(name), 0.3); err != nil {
				t.Error(err)
			}
		}
	})
	args := s.run("quickstart", s.release("version=v2", "hold=2s")...)
	args[2] = filepath.Join(s.dir, "spare.yaml")
	plan := edited(t, "../plans/quickstart.yaml", "  green: {web: [web3, web4]}\n", "  green: {web: [web3, web4]}\n  spare: {web: [web5]}\n")
	if err := os.WriteFile(args[2], []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	got := s.want(10, args...)
	saysAll(t, got, "gate errors FAILED", "ROLLED BACK after step shift", "25 %")
	if strings.Contains(got.err, "50 %") {
		t.Errorf("flip went on to 50 %%: %s", got)
	}
	s.shows(before.with("lb1/be_web/web5", "weight", "7", "lb1/be_web/web1", "health", "disabled"), "after the way back")
	for _, name := range []string{"web3", "web4"} {
		if v := s.Version(name); v != "v1" {
			t.Errorf("%s runs %s, want v1 again", name, v)
		}
	}
	total := s.stop()[0].Total()
	if bad := total.Kinds()["status 500"]; total.Failed != bad || bad == 0 {
		t.Errorf("%d failed, of which the bad release %d: %v", total.Failed, bad, total.Examples)
	}
}

func TestAValueThatSomebodyElseChangedIsLeftAndReported(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, server, drift string }{
		{"on the old side", "web2", "somebody else changed web2 weight: was 75, to be 50, now 37"},
		{"on the new side", "web3", "somebody else changed web3 weight: was 25, to be 50, now 37"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := set(t, estate.Config{})
			before := s.picture()
			s.begin(nil)
			object := "lb1/be_web/" + tt.server
			s.once(journal.TypeDone, "/steps/shift/25.web.lower", func() { s.command("set server be_web/" + tt.server + " weight 37") })
			plan := s.run("quickstart", s.release("version=v2", "deploy=true")...) // installs nothing
			got := s.want(12, plan...)
			saysAll(t, got, "ROLLBACK INCOMPLETE", tt.drift, object, "37", "--on-drift=force")
			s.shows(before.with(object, "weight", "37"), "after the way back")
			s.want(5, plan...) // its locks stay
			s.want(0, "rollback", "--yes", "--on-drift=force")
			s.shows(before, "after the forced way back")
			s.lostNothing()
		})
	}
}

func (s *site) command(line string) {
	s.Helper()
	if reply := s.ask(s.Nodes[0], line); reply != "" {
		s.Errorf("%s: %q", line, reply)
	}
}

// killedIn starts flip as a process and kills it with SIGKILL when it is in the middle of the ramp.
func (s *site) killedIn(label string, args ...string) {
	s.Helper()
	c := s.process(append(args, "-o", "json")...)
	out, err := c.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	killed := false
	for dec := json.NewDecoder(out); ; {
		var r journal.Record
		if dec.Decode(&r) != nil {
			break
		}
		if r.Type == journal.TypeDone && r.Key == label && !killed {
			killed = true
			if err := c.Process.Kill(); err != nil {
				s.Fatal(err)
			}
		}
	}
	err = c.Wait()
	exit := &exec.ExitError{}
	ok := errors.As(err, &exit)
	if !killed || !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.Fatalf("flip was not killed in %s: %v", label, err)
	}
}

func TestAKilledFlipIsInDoubtUntilSomebodyGoesBackOrOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, verb string
		after      func(picture) picture
		version    string
	}{
		{"and back", "rollback", func(p picture) picture { return p }, "v1"},
		{"and on", "resume", func(p picture) picture { return p.with(greenCarries("lb1")...) }, "v2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := set(t, estate.Config{})
			before := s.picture()
			s.begin(nil)
			s.killedIn("/steps/shift/25.web.raise", s.run("quickstart", s.release("version=v2", "hold=1s")...)...)
			saysAll(t, s.want(0, "status"), "IN DOUBT", "flip resume", "flip rollback")
			s.want(0, tt.verb, "--yes")
			s.shows(tt.after(before), "after flip "+tt.verb)
			for _, name := range []string{"web3", "web4"} {
				if v := s.Version(name); v != tt.version {
					t.Errorf("%s runs %s, want %s", name, v, tt.version)
				}
			}
			s.lostNothing()
		})
	}
}
