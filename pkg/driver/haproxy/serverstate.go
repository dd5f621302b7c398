package haproxy

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/state"
)

// The administrative bits of a server (server-t.h). CMAINT (4, disabled in the
// configuration) says nothing about now: it stays when the server is raised.
const (
	fmaint    = 1
	imaint    = 2
	fdrain    = 8
	idrain    = 16
	rmaint    = 32
	inherited = imaint | idrain | rmaint
)

// The operational states of a server (server-t.h). Starting is up and
// throttled (slowstart).
const (
	opStopped  = 0
	opStarting = 1
	opRunning  = 2
	opStopping = 3
)

// The bits of a check (check-t.h).
const (
	checkConfigured = 2
	checkEnabled    = 4
)

// The results of a check (check-t.h) that are passes: all is well, and the
// answer that disable-on-404 knows.
const (
	checkPassed     = 3
	checkCondPassed = 4
)

// row is one server of `show servers state` (management.txt 9.3).
type row struct {
	backend, name, addr, port  string
	op, admin, weight, initial int
	since                      int // seconds since the last change of op
	checkResult                int
	check, agent               int // bits
}

// serverHead is the first part of the column names; later versions append.
const serverHead = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight " +
	"srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state " +
	"bk_f_forced_id srv_f_forced_id srv_fqdn srv_port"

// serverFields is the number of columns up to srv_port.
const serverFields = 19

// parseServers calls visit for every server, in HAProxy's order.
func parseServers(text string, visit func(row)) error {
	version, rest, _ := strings.Cut(text, "\n")
	if version != "1" {
		return fmt.Errorf("show servers state has format %q, flip knows 1", oneLine(version))
	}
	head, rest, _ := strings.Cut(rest, "\n")
	if !strings.HasPrefix(head, serverHead) {
		return fmt.Errorf("show servers state has unknown columns: %q", oneLine(head))
	}
	for n := 3; rest != ""; n++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if line == "" {
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			return fmt.Errorf("show servers state, line %d: %w", n, err)
		}
		visit(r)
	}
	return nil
}

func parseRow(line string) (row, error) {
	var f [serverFields]string
	rest := line
	for i := range f {
		var more bool
		f[i], rest, more = strings.Cut(rest, " ")
		if f[i] == "" || (!more && i < serverFields-1) {
			return row{}, fmt.Errorf("%q has not %d fields", oneLine(line), serverFields)
		}
	}
	r := row{backend: f[1], name: f[3], addr: f[4], port: f[18]}
	numbers := [...]struct {
		field int
		value *int
	}{
		{5, &r.op}, {6, &r.admin}, {7, &r.weight}, {8, &r.initial}, {9, &r.since}, {11, &r.checkResult}, {13, &r.check}, {14, &r.agent},
	}
	for _, n := range numbers {
		v, err := strconv.Atoi(f[n.field])
		if err != nil || v < 0 {
			return row{}, fmt.Errorf("%q: field %d is %q, not a number", oneLine(line), n.field+1, f[n.field])
		}
		*n.value = v
	}
	if r.weight > maxWeight {
		return row{}, fmt.Errorf("%q: weight %d is above %d", oneLine(line), r.weight, maxWeight)
	}
	return r, nil
}

const maxWeight = 256

// own is r without a hold on the text that it was read from.
func (r row) own() row {
	r.backend, r.name, r.addr, r.port = strings.Clone(r.backend), strings.Clone(r.name), strings.Clone(r.addr), strings.Clone(r.port)
	return r
}

// hostPort is ip:port, "" for a server that has no IP address (yet).
func (r row) hostPort() string {
	if r.addr == "-" || strings.HasPrefix(r.addr, "/") || !isName(r.addr) {
		return ""
	}
	return net.JoinHostPort(r.addr, r.port)
}

func (r row) state() state.Value {
	switch {
	case r.admin&fmaint != 0:
		return maint
	case r.admin&fdrain != 0:
		return drain
	}
	return ready
}

// checked reports whether the server has health checks and they run.
func (r row) checked() bool {
	return r.check&(checkConfigured|checkEnabled) == checkConfigured|checkEnabled
}

// agentRuns reports whether an agent may set the weight.
func (r row) agentRuns() bool {
	return r.agent&(checkConfigured|checkEnabled) == checkConfigured|checkEnabled
}

// passed reports whether the server is up and its last check passed. It is
// honest only after `health down`, or long after the last change of state.
func (r row) passed() bool {
	return (r.op == opStarting || r.op == opRunning) && (r.checkResult == checkPassed || r.checkResult == checkCondPassed)
}

// attrs are the attributes that flip can set.
func (r row) attrs() map[string]state.Value {
	attrs := make(map[string]state.Value, 6)
	attrs[Weight] = state.Int(r.weight)
	attrs[State] = r.state()
	attrs[Present] = "true"
	if hp := r.hostPort(); hp != "" {
		attrs[Address] = state.Value(`"` + hp + `"`) // needs no escaping, see hostPort
	}
	if v := checkValue(r.check); v.Present() {
		attrs[Health] = v
	}
	if v := checkValue(r.agent); v.Present() {
		attrs[Agent] = v
	}
	return attrs
}

func checkValue(bits int) state.Value {
	switch bits & (checkConfigured | checkEnabled) {
	case checkConfigured | checkEnabled:
		return enabled
	case checkConfigured:
		return disabled
	}
	return state.Absent
}

var opWords = [...]string{opStopped: "down", opStarting: "starting", opRunning: "up", opStopping: "stopping"}

// info are facts for people.
func (r row) info() map[string]string {
	info := make(map[string]string, 8)
	info["backend"] = r.backend
	info["initial_weight"] = strconv.Itoa(r.initial)
	if r.op < len(opWords) {
		info["op_state"] = opWords[r.op]
	}
	if hp := r.hostPort(); hp != "" {
		info["address"], info["host"], info["port"] = hp, r.addr, r.port
	}
	if text := r.inherits(); text != "" {
		info["inherited"] = text
	}
	return info
}

// inherits says what holds on the server that was not ordered on it.
func (r row) inherits() string {
	var parts []string
	if r.admin&imaint != 0 {
		parts = append(parts, "maint of the tracked server")
	}
	if r.admin&idrain != 0 {
		parts = append(parts, "drain of the tracked server")
	}
	if r.admin&rmaint != 0 {
		parts = append(parts, "maint because the address does not resolve")
	}
	return strings.Join(parts, ", ")
}
