package haproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/state"
)

const columns = serverHead + " srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"

func TestServersStateIsReadAsHAProxyShowsIt(t *testing.T) {
	text := "1\n" + columns +
		"3 be 1 A 127.0.0.1 2 0 5 1 24 15 3 3 6 0 0 0 - 18081 - 0 0 - - 0\n" +
		"3 be 2 B ::1 0 5 1 1 24 8 2 0 2 22 0 0 - 18082 - 0 0 - - 0\n" +
		"3 be 3 C - 0 40 0 1 0 1 0 0 0 0 0 0 c.example 0 - 0 0 - - 0\n" +
		"3 be 4 D 10.0.0.1 2 4 256 1 24 15 3 3 6 18 0 0 - 80 - 0 0 - - 0\n"
	got := map[string]map[string]state.Value{}
	if err := parseServers(text, func(r row) { got[r.name] = r.attrs() }); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]state.Value{
		"A": {Weight: "5", State: ready, Present: "true", Address: `"127.0.0.1:18081"`, Health: enabled},
		"B": {Weight: "1", State: maint, Present: "true", Address: `"[::1]:18082"`, Health: disabled, Agent: enabled},
		"C": {Weight: "0", State: drain, Present: "true"},
		"D": {Weight: "256", State: ready, Present: "true", Address: `"10.0.0.1:80"`, Health: enabled, Agent: disabled},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestServersStateThatIsNotUnderstoodIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"another format":  "2\n" + columns,
		"other columns":   "1\n# be_id srv_id\n",
		"a short line":    "1\n" + columns + "3 be 1 A 127.0.0.1 2 0 5 1\n",
		"no number":       "1\n" + columns + "3 be 1 A 127.0.0.1 2 0 x 1 24 15 3 3 6 0 0 0 - 18081\n",
		"a weight of 257": "1\n" + columns + "3 be 1 A 127.0.0.1 2 0 257 1 24 15 3 3 6 0 0 0 - 18081\n",
	} {
		if err := parseServers(text, func(row) {}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnswersAreCutOnlyWhenTheyAreCertain(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		commands     int
		want         []reply
		err          string
	}{
		{"all succeed", "\n\n\n", 3, []reply{{"", -1}, {"", -1}, {"", -1}}, ""},
		{"one of three is refused", "\n\n[3]: No such server.\n\n\n", 4, []reply{{"", -1}, {"", -1}, {"No such server.", 3}, {"", -1}}, ""},
		{"a notice is a text", "\n[4]: no need to change the addr\n\n", 2, []reply{{"", -1}, {"no need to change the addr", 4}}, ""},
		{"a text without its own newline, alone", "\n[6]: Server deleted.\n", 2, []reply{{"", -1}, {"Server deleted.", 6}}, ""},
		{"a text without its own newline, in company", "\n[3]: Only servers in maintenance mode can be deleted.\n\n", 3, nil, "2 answers to 3 commands, among them: Only servers in maintenance"},
		{"no newline at the end", "\n[3]: No such", 2, nil, "breaks off"},
		{"too few", "\n", 2, nil, "1 answers to 2 commands"},
		{"too many", "\n\n\n", 2, nil, "more answers than commands"},
		{"another server", "HTTP/1.0 400 Bad\r\n\r\n", 2, nil, "never says"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := cut([]byte(c.answer), c.commands, true)
			if (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("want the error %q, got %v", c.err, err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(reply{})); diff != "" {
				t.Errorf("replies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnUnknownCommandIsARefusalThoughHAProxyCallsItANotice(t *testing.T) {
	if (reply{"Unknown command, but maybe one of the following ones is a better match:\n  quit", 6}).outcome("wait") == nil {
		t.Error("it counts as done")
	}
}

const statHead = "# pxname,svname,qcur,scur,stot,econ,eresp,status,lastchg,check_status,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,throttle,last_chk,check_fall,\n"

func TestHealthIsUpOnlyOnChecksThatRan(t *testing.T) {
	for _, c := range []struct{ name, status, check, want string }{
		{"up", "UP", "L7OK", "up UP (L7OK)"},
		{"a check that runs now", "UP", "* L7OK", "up UP (L7OK)"},
		{"going down", "UP 1/2", "L4CON", "up UP 1/2 (L4CON)"},
		{"declared up after maint", "UP 1/2", "L7OK", "unknown UP 1/2 (L7OK)"},
		{"never checked", "UP", "INI", "unknown UP (INI)"},
		{"drain", "DRAIN", "L4OK", "up DRAIN (L4OK)"},
		{"drain after maint", "DRAIN 1/3", "L7OK", "unknown DRAIN 1/3 (L7OK)"},
		{"coming up", "DOWN 1/2", "L7OK", "down DOWN 1/2 (L7OK)"},
		{"maint by tracking", "MAINT (via be/a)", "", "down MAINT (via be/a)"},
		{"no check", "no check", "", "unknown no check"},
		{"drain without checks", "DRAIN", "", "unknown DRAIN"},
	} {
		text := statHead + "be,a,0,0,0,0,0," + c.status + ",9," + c.check + ",0,0,0,0,0,0,,,2,\n"
		got := ""
		if err := parseStat(text, func(r statRow) { got = r.health().String() + " " + r.detail() }); err != nil || got != c.want {
			t.Errorf("%s: want %q, got %q %v", c.name, c.want, got, err)
		}
	}
}

func TestStatisticsAreReadWithQuotesAndWithoutHTTP(t *testing.T) {
	var got []statRow
	text := statHead +
		"be,a,1,2,3,4,5,DOWN,6,L7STS,1,2,3,4,5,6,,\"HTTP, \"\"bad\"\"\",2,\n" +
		"be,t,0,0,9,1,0,no check,6,,,,,,,,,,,\n\n"
	if err := parseStat(text, func(r statRow) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	want := []statRow{
		{backend: "be", name: "a", qcur: 1, scur: 2, stot: 3, status: "DOWN", lastChange: 6, checkStatus: "L7STS", lastCheck: `HTTP, "bad"`, fall: 2, answers: 30, errors: 14},
		{backend: "be", name: "t", stot: 9, status: "no check", lastChange: 6, answers: 9, errors: 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(statRow{})); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestOldWorkersAreThoseBelowTheirHeading(t *testing.T) {
	text := "#<PID>          <type>          <reloads>       <uptime>        <version>\n" +
		"100             master          1 [failed: 0]   0d00h11m29s     2.6.12\n# workers\n" +
		"102             worker          0               0d00h00m01s     2.6.12\n# old workers\n" +
		"101             worker          1               0d00h11m29s     2.6.12\n# programs\n"
	if diff := cmp.Diff([]string{"101"}, oldWorkers(text)); diff != "" {
		t.Errorf("pids (-want +got):\n%s", diff)
	}
}

func TestALifeIsToldByPidAndStart(t *testing.T) {
	now := time.Unix(1000, 0)
	for text, want := range map[string]state.Incarnation{
		"Pid: 7\nUptime_sec: 10\n":                      {ID: "7", Since: time.Unix(990, 0).UTC()},
		"Pid: 7\nUptime_sec: 10\nStart_time_sec: 985\n": {ID: "7", Since: time.Unix(985, 0).UTC()},
	} {
		if got, err := parseInfo(text, now); err != nil || got != want {
			t.Errorf("want %v, got %v %v", want, got, err)
		}
	}
	if _, err := parseInfo("Name: HAProxy\n", now); err == nil {
		t.Error("a life without a pid")
	}
}

func FuzzServersState(f *testing.F) {
	f.Add("1\n" + columns + "3 be 1 A 127.0.0.1 2 0 5 1 24 15 3 3 6 0 0 0 - 18081 - 0 0 - - 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseServers(text, func(r row) {
			for name, v := range r.attrs() {
				a, ok := serverKind().Attribute(name)
				if err := a.Check(v); !ok || err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if again := state.Text(v.Text()); a.Type == "text" && again != v {
					t.Errorf("%s is not canonical: %s, %s", name, v, again)
				}
			}
			r.info()
		})
	})
}

func FuzzStat(f *testing.F) {
	f.Add(statHead + "be,a,1,2,3,4,5,DOWN,6,L7STS,1,2,3,4,5,6,,\"x, \"\"y\"\"\",2,\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseStat(text, func(r statRow) {
			if r.errors > r.answers || r.scur < 0 || r.qcur < 0 {
				t.Errorf("%+v", r)
			}
			_ = r.health()
			_ = r.detail()
		})
	})
}

func FuzzReplies(f *testing.F) {
	f.Add("\n[3]: No such server.\n\n\n", 3, true)
	f.Fuzz(func(t *testing.T, text string, want int, leading bool) {
		want = min(max(want, 1), 1000)
		got, err := cut([]byte(text), want, leading)
		if err == nil && len(got) != want {
			t.Errorf("%d replies to %d commands", len(got), want)
		}
		_, _ = parseInfo(text, time.Unix(0, 0))
		_ = parseMap("/m", text, func(entry) {})
		oldWorkers(text)
		mapFiles(text)
	})
}
