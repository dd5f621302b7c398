package haproxytest

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// run executes one line and returns what HAProxy would answer.
func (f *Fake) run(line string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out bytes.Buffer
	numbers := false
	for _, cmd := range splitCommands(line) {
		args := splitWords(cmd)
		if len(args) == 0 {
			continue
		}
		if slices.Equal(args, []string{"set", "severity-output", "number"}) {
			numbers = true
			out.WriteByte('\n')
			continue
		}
		level, text := f.command(args)
		if level >= 0 && numbers && text != "" {
			fmt.Fprintf(&out, "[%d]: ", level)
		}
		out.WriteString(text)
		out.WriteByte('\n')
		if args[0] != "show" && args[0] != "get" {
			f.log = append(f.log, strings.TrimSpace(cmd))
		}
	}
	return out.Bytes()
}

// splitCommands cuts at ";" unless it is escaped.
func splitCommands(line string) []string {
	var all []string
	start := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case ';':
			all = append(all, line[start:i])
			start = i + 1
		}
	}
	return append(all, line[start:])
}

// splitWords cuts at spaces and removes the escapes.
func splitWords(cmd string) []string {
	if !strings.Contains(cmd, `\`) {
		return strings.Fields(cmd)
	}
	var all []string
	var word strings.Builder
	inside := false
	for i := 0; i < len(cmd); i++ {
		switch {
		case cmd[i] == '\\' && i+1 < len(cmd):
			i++
			word.WriteByte(cmd[i])
			inside = true
		case cmd[i] == ' ' || cmd[i] == '\t':
			if inside {
				all = append(all, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteByte(cmd[i])
			inside = true
		}
	}
	if inside {
		all = append(all, word.String())
	}
	return all
}

// content marks an answer that carries no severity.
const content = -1

// command returns the severity and the text of an answer.
func (f *Fake) command(args []string) (int, string) {
	word := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	if args[0] != "show" && args[0] != "get" && f.level != "admin" {
		return 3, "Permission denied\n"
	}
	switch two := args[0] + " " + word(1); {
	case slices.Equal(args, []string{"show", "cli", "level"}):
		return 6, f.level + "\n"
	case args[0] == "show":
		return f.show(args[1:])
	case two == "get map":
		break
	case two == "set server" && len(args) >= 5:
		return f.onServer(word(2), func(be *fakeBackend, s *FakeServer) (int, string) { return set(be, s, args[3:]) })
	case two == "enable health", two == "disable health", two == "enable agent", two == "disable agent":
		return f.onServer(word(2), func(_ *fakeBackend, s *FakeServer) (int, string) { return s.toggle(args[0], args[1]) })
	case two == "add server" && len(args) >= 4:
		return f.addServer(word(2), args[3:])
	case two == "del server" && len(args) == 3:
		level, text := f.onServer(word(2), f.delServer)
		return level, strings.TrimSuffix(text, "\n")
	case two == "shutdown sessions" && word(2) == "server" && len(args) == 4:
		return f.onServer(word(3), func(_ *fakeBackend, s *FakeServer) (int, string) {
			s.Sessions = 0
			return content, ""
		})
	case two == "add map" && len(args) == 5, two == "set map" && len(args) == 5, two == "del map" && len(args) == 4:
		return f.changeMap(args)
	}
	return 6, "Unknown command: '" + args[0] + "', but maybe one of the following ones is a better match:\n  help [<command>] : list matching or all commands\n"
}

func (f *Fake) onServer(path string, do func(*fakeBackend, *FakeServer) (int, string)) (int, string) {
	backend, name, ok := strings.Cut(path, "/")
	if !ok {
		return 3, "Require 'backend/server'.\n"
	}
	be := f.backend(backend)
	if be == nil {
		return 3, "No such backend.\n"
	}
	s := be.by[name]
	if s == nil {
		return 3, "No such server.\n"
	}
	return do(be, s)
}

func (f *Fake) backend(name string) *fakeBackend {
	i := slices.IndexFunc(f.backends, func(b *fakeBackend) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return f.backends[i]
}

func (f *Fake) mustFind(backend, name string) *FakeServer {
	be := f.backend(backend)
	if be == nil || be.by[name] == nil {
		panic("fake haproxy: no server " + backend + "/" + name)
	}
	return be.by[name]
}

func set(be *fakeBackend, s *FakeServer, args []string) (int, string) {
	switch args[0] {
	case "weight":
		return s.setWeight(be, args[1])
	case "state":
		return s.setState(args[1])
	case "health":
		if args[1] != "down" {
			break
		}
		if s.Check {
			s.health = 0
			s.changed = time.Now()
		}
		return content, ""
	case "addr":
		port := ""
		if len(args) == 4 && args[2] == "port" {
			port = args[3]
		}
		addr, err := netip.ParseAddrPort(joinPort(args[1], port))
		if err != nil {
			return 3, "Invalid addr family or port.\n"
		}
		was, _ := netip.ParseAddrPort(s.Address)
		s.Address = addr.String()
		return 4, moved(was, addr)
	}
	return 3, "usage: set server <backend>/<server> addr | agent | health | state | weight\n"
}

func moved(was, addr netip.AddrPort) string {
	text := "no need to change the addr"
	if was.Addr() != addr.Addr() {
		text = fmt.Sprintf("IP changed from '%s' to '%s'", was.Addr(), addr.Addr())
	}
	if was.Port() != addr.Port() {
		return text + fmt.Sprintf(", port changed from '%d' to '%d' by 'stats socket command'\n", was.Port(), addr.Port())
	}
	return text + ", no need to change the port by 'stats socket command'\n"
}

func joinPort(ip, port string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]:" + port
	}
	return ip + ":" + port
}

func (s *FakeServer) setWeight(be *fakeBackend, text string) (int, string) {
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 3, "Empty weight string empty or preceded by garbage"
	case n < 0 || n > 256:
		return 3, "Absolute weight can only be between 0 and 256 inclusive.\n"
	case be.Static && n != 0 && n != s.Initial:
		return 3, "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n"
	}
	s.Weight = n
	return content, ""
}

// setState leaves inherited bits alone. Leaving maint declares a server up
// before any check has run, and keeps the result of its last check.
func (s *FakeServer) setState(word string) (int, string) {
	was := s.Admin
	switch word {
	case "ready":
		s.Admin &^= fakeMaint | fakeDrain
	case "drain":
		s.Admin = s.Admin&^fakeMaint | fakeDrain
	case "maint":
		s.Admin = s.Admin&^fakeDrain | fakeMaint
	default:
		return 3, "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n"
	}
	if was&fakeMaint != 0 && s.Admin&fakeMaint == 0 {
		s.health = rise
		s.changed = time.Now()
	}
	return content, ""
}

func (s *FakeServer) toggle(verb, what string) (int, string) {
	on := verb == "enable"
	switch {
	case what == "health" && !s.Check && on:
		return 3, "Health check was not configured on this server, cannot enable.\n"
	case what == "agent" && !s.Agent && on:
		return 3, "Agent was not configured on this server, cannot enable.\n"
	case what == "health":
		s.CheckOff = !on
	default:
		s.AgentOff = !on
	}
	return content, ""
}

// addServer and delServer answer without a newline of their own in places, as
// HAProxy 2.6 does.
func (f *Fake) addServer(path string, args []string) (int, string) {
	backend, name, _ := strings.Cut(path, "/")
	be := f.backend(backend)
	if be == nil {
		return 3, "No such backend."
	}
	if be.Static {
		return 3, "Backend must use a dynamic load balancing to support dynamic servers."
	}
	if be.by[name] != nil {
		return 3, "Already exists a server with the same name in backend.\n"
	}
	addr, err := netip.ParseAddrPort(args[0])
	if err != nil || name == "" {
		return 3, "'server " + name + "' : invalid address: '" + args[0] + "'\n"
	}
	s := FakeServer{Name: name, Address: addr.String(), Weight: 1, Admin: fakeMaint, dynamic: true}
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "check":
			s.Check, s.CheckOff = true, true
		case args[i] == "weight" && i+1 < len(args):
			i++
			if s.Weight, err = strconv.Atoi(args[i]); err != nil || s.Weight < 0 || s.Weight > 256 {
				return 3, "'server " + name + "' : weight of server is not within 0 and 256.\n"
			}
			s.Zero = s.Weight == 0
		default:
			return 3, "'server " + name + "' : unknown keyword '" + args[i] + "'.\n"
		}
	}
	be.add(s)
	return 6, "New server registered.\n"
}

func (f *Fake) delServer(be *fakeBackend, s *FakeServer) (int, string) {
	switch {
	case s.Admin&fakeMaint == 0:
		return 3, "Only servers in maintenance mode can be deleted."
	case s.Sessions > 0:
		return 3, "Server still has connections attached to it, cannot remove it."
	}
	delete(be.by, s.Name)
	be.order = slices.DeleteFunc(be.order, func(o *FakeServer) bool { return o == s })
	return 6, "Server deleted."
}

func (f *Fake) changeMap(args []string) (int, string) {
	i := slices.IndexFunc(f.maps, func(m *fakeMap) bool { return m.file == args[2] })
	if i < 0 {
		return 3, "Unknown map identifier. Please use #<id> or <file>.\n"
	}
	m := f.maps[i]
	if args[0] == "add" {
		m.entries = append(m.entries, [2]string{args[3], args[4]})
		return content, ""
	}
	found := false
	m.entries = slices.DeleteFunc(m.entries, func(e [2]string) bool {
		found = found || e[0] == args[3]
		return args[0] == "del" && e[0] == args[3]
	})
	if !found {
		if args[0] == "del" {
			return 3, "Key not found.\n"
		}
		return 3, "entry not found.\n"
	}
	for i := range m.entries {
		if m.entries[i][0] == args[3] {
			m.entries[i][1] = args[4]
		}
	}
	return content, ""
}
