package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/journal"
)

// abSecrets are what nothing that flip says or writes may hold.
var abSecrets = []string{
	abKey.ID, abKey.Secret, abKey.Token, abPassword, "otherSecretThatNobodyMaySee", "STS.NobodyKnowsThisId",
	"Signature=", "SignatureNonce", "SecurityToken=", "AccessKeyId=", "accessToken", "-of-" + abUser,
}

// abEnding is a release that has something to tell about its keys.
type abEnding struct {
	name    string
	prepare func(*abLab)
	hit     func(*abLab, abWrite) // at every write
	kill    bool                  // and resume
	code    int
	says    string // the error that was meant
}

var abEndings = []abEnding{
	{name: "a run that ends well"},
	{name: "answers that get lost", hit: cloudly(slbtest.Fault{Kind: slbtest.DropAfter})},
	{name: "a write that is refused", code: 10, says: "InvalidParameter", hit: func(l *abLab, w abWrite) {
		if strings.HasPrefix(w.key, "edge-in") {
			cloudly(slbtest.Fault{Kind: slbtest.Refuse, Code: "InvalidParameter"})(l, w)
		}
	}},
	{name: "a way back that is incomplete", code: 12, says: "INCOMPLETE", hit: func(l *abLab, w abWrite) {
		if w.key == "edge-in/10.ws.raise" {
			l.edited(w, 33)
		}
	}},
	{name: "a key that ends in the middle", hit: func(l *abLab, w abWrite) {
		cloudly(slbtest.Fault{Kind: slbtest.ExpireKey, Do: l.renewed})(l, w)
	}},
	{name: "a command that shows the keys", says: "***", prepare: func(l *abLab) {
		l.file("deploy", "#!/bin/sh\ncd "+l.dir+"\nfor f in id secret token; do cat $f; echo; done\necho \"$@\" >> "+l.diary+"\n")
	}},
	{name: "a run that is killed", kill: true},
	{name: "another secret", code: 4, says: "SignatureDoesNotMatch", prepare: func(l *abLab) {
		l.has(slbtest.Key{ID: abKey.ID, Secret: "otherSecretThatNobodyMaySee", Token: abKey.Token})
	}},
	{name: "a key that does not exist", code: 4, says: "InvalidAccessKeyId", prepare: func(l *abLab) {
		l.has(slbtest.Key{ID: "STS.NobodyKnowsThisId", Secret: abKey.Secret, Token: abKey.Token})
	}},
	{name: "a token that is over", code: 4, says: "InvalidSecurityToken.Expired", prepare: func(l *abLab) { l.cloud.ExpireKey(abKey.ID) }},
	{name: "a cloud that is not there", code: 4, says: "connection refused", prepare: func(l *abLab) { _ = l.cloud.Close() }},
	{name: "a cloud that hangs up", code: 4, says: "EOF", prepare: func(l *abLab) { l.cloud.Inject(slbtest.Fault{Kind: slbtest.DropBefore}) }},
}

// TestNoKeyOfTheCloudIsEverWritten looks for access keys, signatures and tokens
// in all that flip says and keeps over releases that end in every way.
func TestNoKeyOfTheCloudIsEverWritten(t *testing.T) {
	t.Parallel()
	s, dir := newSquad(t), memoryDir(t)
	modes := []string{"-v", "-o json -v"}
	together(len(abEndings)*len(modes), 16, func(i int) {
		x, flags := abEndings[i/len(modes)], strings.Fields(modes[i%len(modes)])
		l := newABLab(t, filepath.Join(dir, fmt.Sprint(i)), s)
		defer l.end()
		if x.prepare != nil {
			x.prepare(l)
		}
		l.args = append(append(l.args, "--var", "patience=6s"), flags...)
		told := l.tells(x, flags)
		if all := fmt.Sprint(told); !strings.Contains(all, x.says) {
			t.Errorf("%s %s: it never says %q: nothing was tested", x.name, flags, x.says)
		}
		for place, text := range l.places(told) {
			for _, secret := range abSecrets {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s %s: %s holds %q: ...%s", x.name, flags, place, secret, text[max(0, at-100):min(len(text), at+100)])
				}
			}
		}
		l.isPrivate()
	})
}

// tells runs the release, and everything that shows it.
func (l *abLab) tells(x abEnding, flags []string) []answer {
	l.Helper()
	var told []answer
	if x.kill {
		c := l.start(childOrder{KillAt: 57}, l.args...)
		told = append(told, l.wait(c), l.flip(append([]string{"resume", "--yes"}, flags...)...))
	} else {
		told = append(told, l.with(func(app *flip.App) {
			app.OnRecord = func(r journal.Record) {
				if w, ok := abWriteOf(r); ok && x.hit != nil {
					x.hit(l, w)
				}
			}
		}, l.args...))
	}
	if got := told[len(told)-1]; got.code != x.code {
		l.Errorf("%s %s: want exit %d, got %s", x.name, flags, x.code, got)
	}
	plan := l.args[4:]
	for _, args := range [][]string{{"show"}, {"logs"}, {"status"}, {"list"}, {"drift"}, {"get", plan[0]}, {"plan", "--live", "a", plan[0]}, {"lint", plan[0]}} {
		if args[len(args)-1] == plan[0] {
			args = append(args, plan[1:len(plan)-len(flags)]...)
		}
		told = append(told, l.flip(append(args, flags...)...))
	}
	return told
}

// places are all that was said, and every file that flip keeps.
func (l *abLab) places(told []answer) map[string]string {
	l.Helper()
	places := map[string]string{}
	for i, a := range told {
		places[fmt.Sprintf("stdout of command %d", i)], places[fmt.Sprintf("stderr of command %d", i)] = a.out, a.err
	}
	err := filepath.WalkDir(filepath.Join(l.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = string(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		l.Fatal(err)
	}
	return places
}

// TestAPlainEndpointOfTheCloudIsRefused: a request in the clear shows its
// signature and token to everybody on the way. Only loopback is spared.
func TestAPlainEndpointOfTheCloudIsRefused(t *testing.T) {
	const text = `flip: 1
name: plain
vars:
  endpoint: {type: string, default: ""}
targets:
  web: {driver: DRIVER, region: cn-hangzhou, endpoint: "${{ vars.endpoint }}", GROUP}
steps:
  - {id: out, set: {target: web, weight: 0}}
`
	for driver, group := range map[string]string{"slb": "vserver_group: rsp-web", "alb": "server_group: sgp-web", "nlb": "server_group: sgp-l4"} {
		h := newHome(t, t.TempDir())
		plan := h.file("p.yaml", strings.NewReplacer("DRIVER", driver, "GROUP", group).Replace(text))
		for _, endpoint := range []string{"http://slb.aliyuncs.com", "http://10.0.0.5:8080", "HTTP://localhost:19000", "http://127.0.0.1.example.com"} {
			for _, verb := range []string{"lint", "plan", "get", "run"} {
				a := h.flip(verb, plan, "--var", "endpoint="+endpoint)
				if a.code != 3 {
					t.Errorf("flip %s with %s at %s: want exit 3, got %s", verb, driver, endpoint, a)
				}
				saysAll(t, a, fmt.Sprintf("p.yaml:6:3: target web: endpoint %q: plain http would send", endpoint), "hint: write https://; http:// is for a loopback address")
			}
		}
		for _, endpoint := range []string{"", "https://slb.aliyuncs.com", "slb.aliyuncs.com", "http://127.0.0.1:19000", "http://[::1]:19000"} {
			h.wants([]int{0}, "lint", plan, "--var", "endpoint="+endpoint)
		}
	}
}
