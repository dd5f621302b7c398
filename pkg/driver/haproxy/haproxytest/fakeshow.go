package haproxytest

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	fakeMaint = 1
	fakeDrain = 8
	rise      = 2
)

// reset puts the backends back to their configuration; the caller has mu.
func (f *Fake) reset() {
	f.backends = nil
	for _, cfg := range f.initial {
		be := &fakeBackend{FakeBackend: cfg, by: make(map[string]*FakeServer, len(cfg.Servers))}
		for _, s := range cfg.Servers {
			be.add(s)
		}
		f.backends = append(f.backends, be)
	}
}

func (be *fakeBackend) add(s FakeServer) {
	if s.Weight == 0 && !s.Zero {
		s.Weight = 1
	}
	if s.Initial == 0 && !s.Zero {
		s.Initial = s.Weight
	}
	if s.Fall == 0 {
		s.Fall = 2
	}
	s.last, s.changed = "INI", time.Now()
	if s.Check && !s.Dead {
		s.health, s.last = s.full(), "L7OK"
	}
	if s.Check && s.Dead {
		s.last = "L4CON"
	}
	be.order = append(be.order, &s)
	be.by[s.Name] = &s
}

// full is the health of a server that only passed (check.c).
func (s *FakeServer) full() int { return rise + s.Fall - 1 }

func (s *FakeServer) inMaint() bool { return s.Admin&(fakeMaint|2|32) != 0 }

func (s *FakeServer) checks() bool { return s.Check && !s.CheckOff && !s.inMaint() }

func (s *FakeServer) up() bool { return !s.inMaint() && (!s.Check || s.health >= rise) }

// check runs one health check, after it was looked at.
func (s *FakeServer) check() {
	if !s.checks() {
		return
	}
	was := s.up()
	if s.Dead {
		s.last = "L4CON"
		switch {
		case s.health > rise:
			s.health--
		default:
			s.health = 0
		}
	} else {
		s.last = "L7OK"
		s.health = min(s.health+1, s.full())
		if !was && s.health >= rise {
			s.health = s.full()
		}
	}
	if s.up() != was {
		s.changed = time.Now()
	}
}

func (f *Fake) show(args []string) (int, string) {
	var out bytes.Buffer
	switch {
	case len(args) == 1 && args[0] == "info":
		uptime := int(time.Since(f.since).Seconds())
		fmt.Fprintf(&out, "Name: HAProxy\nVersion: 2.6.12-fake\nPid: %d\nUptime: 0d 0h00m%02ds\nUptime_sec: %d\nStart_time_sec: %d\n",
			f.pid, uptime, uptime, f.since.Unix())
	case len(args) == 1 && args[0] == "backend":
		out.WriteString("# name\n")
		for _, be := range f.backends {
			out.WriteString(be.Name + "\n")
		}
	case len(args) == 3 && args[0] == "servers" && args[1] == "state":
		be := f.backend(args[2])
		if be == nil {
			return 3, "Can't find backend.\n"
		}
		be.serversState(&out)
	case len(args) == 4 && args[0] == "stat" && args[2] == "4" && args[3] == "-1":
		be := f.backend(args[1])
		if be == nil {
			return 3, "No such proxy.\n"
		}
		be.stat(&out)
	case len(args) == 1 && args[0] == "map":
		out.WriteString("# id (file) description\n")
		for i, m := range f.maps {
			fmt.Fprintf(&out, "%d (%s) pattern loaded from file '%s' used by map at file 'fake.cfg' line 1. curr_ver=0 next_ver=0 entry_cnt=%d\n", i, m.file, m.file, len(m.entries))
		}
	case len(args) == 2 && args[0] == "map":
		for _, m := range f.maps {
			if m.file != args[1] {
				continue
			}
			for i, e := range m.entries {
				fmt.Fprintf(&out, "0x%012x %s %s\n", 0x7f0000+i*64, e[0], e[1])
			}
			return content, out.String()
		}
		return 3, "Unknown map identifier. Please use #<id> or <file>.\n"
	default:
		return 6, "Unknown command: 'show " + strings.Join(args, " ") + "', but maybe one of the following ones is a better match:\n  help [<command>] : list matching or all commands\n"
	}
	return content, out.String()
}

func (be *fakeBackend) serversState(out *bytes.Buffer) {
	out.WriteString("1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n")
	b := out.AvailableBuffer()
	for i, s := range be.order {
		host, port, _ := net.SplitHostPort(s.Address)
		op := 0
		if s.up() {
			op = 2
		}
		number := func(n int) { b = strconv.AppendInt(append(b, ' '), int64(n), 10) }
		b = append(b[:0], '3', ' ')
		b = append(b, be.Name...)
		number(i + 1)
		b = append(append(append(append(b, ' '), s.Name...), ' '), host...)
		number(op)
		number(s.Admin)
		number(s.Weight)
		number(s.Initial)
		number(int(time.Since(s.changed).Seconds()))
		number(map[string]int{"INI": 1, "L4CON": 8, "L7OK": 15}[s.last])
		number(s.result())
		number(s.health)
		number(bits(s.Check, s.CheckOff, 0))
		number(bits(s.Agent, s.AgentOff, 16))
		b = append(append(append(b, " 0 0 - "...), port...), " - 0 0 - - 0\n"...)
		out.Write(b)
		s.check()
	}
}

// result is what check-t.h calls neutral, failed and passed.
func (s *FakeServer) result() int {
	switch s.last {
	case "L7OK":
		return 3
	case "L4CON":
		return 2
	}
	return 0
}

func bits(configured, off bool, kind int) int {
	switch {
	case !configured:
		return 0
	case off:
		return kind | 2
	}
	return kind | 2 | 4
}

// status is the text of `show stat`, with the fraction on the way to a change.
func (s *FakeServer) status() string {
	switch {
	case s.inMaint():
		return "MAINT"
	case !s.Check && s.Admin&fakeDrain != 0:
		return "DRAIN"
	case !s.Check:
		return "no check"
	case s.health < rise && s.health > 0:
		return fmt.Sprintf("DOWN %d/%d", s.health, rise)
	case s.health < rise:
		return "DOWN"
	}
	word := "UP"
	if s.Admin&(fakeDrain|16) != 0 {
		word = "DRAIN"
	}
	if s.health < s.full() {
		word += fmt.Sprintf(" %d/%d", s.health-rise+1, s.Fall)
	}
	return word
}

func (be *fakeBackend) stat(out *bytes.Buffer) {
	out.WriteString("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,\n")
	for i, s := range be.order {
		check := ""
		if s.Check {
			check = s.last
		}
		fmt.Fprintf(out, "%s,%s,%d,0,%d,0,,%d,0,0,,0,,0,0,0,0,%s,%d,1,0,0,0,%d,0,,1,3,%d,,0,,2,0,,0,%s,200,0,0,%d,0,0,%d,0,,,,0,0,0,,,,,-1,,,0,0,0,0,,,,,,%d,%d,\n",
			be.Name, s.Name, s.Queued, s.Sessions, s.Total, s.status(), s.Weight, int(time.Since(s.changed).Seconds()), i+1, check, s.OK, s.Failed, rise, s.Fall)
		s.check()
	}
}
