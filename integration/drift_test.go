package integration

import (
	"testing"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

func TestAReloadThatForgotARunIsDrift(t *testing.T) {
	t.Parallel()
	s := set(t, estate.Config{HAProxy: haproxytest.Config{MasterWorker: true}})
	s.begin(nil) // the plan's gate wants answers to judge
	s.want(0, s.run("quickstart", s.release("version=v2", "deploy=true")...)...)
	s.stop()
	saysAll(t, s.want(0, "drift", "--detailed-exitcode"), "no drift: 4 values read, all as the run left them")
	s.command("set server be_web/web3 weight 37")
	saysAll(t, s.want(2, "drift", "--detailed-exitcode"), "1 of 4 values read differ", "web web3  weight     100       37")
	if err := s.Nodes[0].Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	saysAll(t, s.want(2, "drift", "--detailed-exitcode"),
		"lb1 was restarted or reloaded at 20", "values set at run time were lost", "4 of 4 values read differ")
	s.Nodes[0].Kill()
	saysAll(t, s.want(4, "drift"), "target web")
}

func TestARehearsalAsksHAProxyOnceAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := set(t, estate.Config{})
	before := s.picture()
	args := s.run("quickstart", s.release("version=v2")...)
	args[0] = "rehearse"
	args = append(args[:1], args[2:]...) // it asks nothing, so it knows no --yes
	saysAll(t, s.want(0, append(args, "--faults", "late-write")...), "way forward proven from", "way back proven from")
	s.shows(before, "after a rehearsal")
}
