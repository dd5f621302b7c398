package slbtest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// nameServer answers for the zones as they were a lag ago.
type nameServer struct {
	addr    string
	servers []*dns.Server
	done    sync.WaitGroup

	mu     sync.Mutex
	zones  []Zone
	serial int
	wheels map[string]*plane.Wheel
}

// DNS is "127.0.0.1:port" of a name server, UDP and TCP.
func (s *Server) DNS(i int) string { return s.names[i].addr }

// NameServers are the addresses of all of them.
func (s *Server) NameServers() []string {
	addrs := make([]string, len(s.names))
	for i, ns := range s.names {
		addrs[i] = ns.addr
	}
	return addrs
}

func (s *Server) nameServerNames() []string {
	names := make([]string, len(s.names))
	for i := range s.names {
		names[i] = fmt.Sprintf("dns%d.stand-in.invalid", i+1)
	}
	return names
}

// startDNS starts the name servers without zones.
func (s *Server) startDNS() error {
	for range max(s.o.NameServers, 1) {
		ns, err := newNameServer()
		if err != nil {
			return fmt.Errorf("name server: %w", err)
		}
		s.names = append(s.names, ns)
	}
	return nil
}

// publish needs mu: all name servers know everything at once.
func (s *Server) publish() {
	s.zoneSerial++
	for _, ns := range s.names {
		ns.set(clone(s.estate.Zones), s.zoneSerial)
	}
}

// zonesChanged needs mu: each name server follows after its lag.
func (s *Server) zonesChanged() {
	s.zoneSerial++
	serial, zones := s.zoneSerial, clone(s.estate.Zones)
	for i, ns := range s.names {
		s.later(time.Duration(i+1)*s.o.Timing.DNS, func() { ns.set(zones, serial) })
	}
}

// newNameServer listens with UDP and TCP on one free port.
func newNameServer() (*nameServer, error) {
	for try := 0; ; try++ {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		packets, err := net.ListenPacket("udp", ln.Addr().String())
		if err == nil {
			return serveNames(ln, packets), nil
		}
		ln.Close()
		if try == 10 {
			return nil, err
		}
	}
}

func serveNames(ln net.Listener, packets net.PacketConn) *nameServer {
	ns := &nameServer{addr: ln.Addr().String(), wheels: map[string]*plane.Wheel{}}
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: ln}} {
		started := make(chan struct{})
		server.Handler, server.NotifyStartedFunc = dns.HandlerFunc(ns.answer), func() { close(started) }
		ns.servers = append(ns.servers, server)
		ns.done.Go(func() { _ = server.ActivateAndServe() }) // it ends with stop
		<-started
	}
	return ns
}

func (ns *nameServer) stop() {
	for _, server := range ns.servers {
		_ = server.Shutdown() // it runs: newNameServer waited for it
	}
	ns.done.Wait()
}

func (ns *nameServer) set(zones []Zone, serial int) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if serial > ns.serial {
		ns.zones, ns.serial = zones, serial
	}
}

func (ns *nameServer) answer(w dns.ResponseWriter, request *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(request)
	m.Authoritative = true
	if len(request.Question) != 1 || request.Opcode != dns.OpcodeQuery {
		m.SetRcode(request, dns.RcodeFormatError)
	} else {
		ns.fill(m, request.Question[0])
	}
	_ = w.WriteMsg(m) // the client may be gone
}

// fill answers a question; a name outside the zones is refused.
func (ns *nameServer) fill(m *dns.Msg, q dns.Question) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	z := ns.zoneOf(name)
	if z == nil {
		m.Authoritative, m.Rcode = false, dns.RcodeRefused
		return
	}
	soa := &dns.SOA{
		Hdr: header(z.Name, dns.TypeSOA, z.MinTTL), Ns: "dns1.stand-in.invalid.", Mbox: "hostmaster.stand-in.invalid.",
		Serial: uint32(ns.serial), Refresh: 3600, Retry: 1200, Expire: 86400, Minttl: uint32(z.MinTTL), // small and positive
	}
	if q.Qtype == dns.TypeSOA && name == strings.ToLower(z.Name) {
		m.Answer = append(m.Answer, soa)
		return
	}
	known := false
	byType := map[string][]Record{}
	for _, r := range z.at(name) {
		known = true
		if !r.Disabled && r.Line == "default" {
			byType[r.Type] = append(byType[r.Type], r)
		}
	}
	kind := dns.TypeToString[q.Qtype]
	if len(byType["CNAME"]) > 0 {
		kind = "CNAME"
	}
	for _, r := range ns.turn(*z, byType[kind]) {
		if rr := r.wire(q.Name); rr != nil {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, soa)
		if !known && name != strings.ToLower(z.Name) {
			m.Rcode = dns.RcodeNameError
		}
	}
}

// zoneOf needs mu; the longest name wins.
func (ns *nameServer) zoneOf(name string) *Zone {
	var best *Zone
	for i := range ns.zones {
		zone := strings.ToLower(ns.zones[i].Name)
		if (name == zone || strings.HasSuffix(name, "."+zone)) && (best == nil || len(zone) > len(best.Name)) {
			best = &ns.zones[i]
		}
	}
	return best
}

// at are the records of a name, or of the wildcard above it.
func (z Zone) at(name string) []Record {
	var exact, wild []Record
	for _, r := range z.Records {
		full := strings.ToLower(fqdn(r.RR, z.Name))
		if full == name {
			exact = append(exact, r)
		} else if suffix, ok := strings.CutPrefix(full, "*"); ok && strings.HasSuffix(name, suffix) {
			wild = append(wild, r)
		}
	}
	if exact != nil {
		return exact
	}
	return wild
}

// turn is one record by weight where the weights are open, else all.
func (ns *nameServer) turn(z Zone, records []Record) []Record {
	if len(records) == 0 || !z.open(records[0].set()) {
		return records
	}
	key := z.Name + " " + records[0].set()
	if ns.wheels[key] == nil {
		ns.wheels[key] = &plane.Wheel{}
	}
	spokes := make([]plane.Spoke, len(records))
	for i, r := range records {
		spokes[i] = plane.Spoke{ID: r.ID, Weight: r.Weight}
	}
	i := ns.wheels[key].Next(spokes)
	if i < 0 {
		return nil
	}
	return records[i : i+1]
}

func header(name string, kind uint16, ttl int) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(ttl)} // 1..86400
}

// wire is the record under the name that was asked for.
func (r Record) wire(name string) dns.RR {
	h := header(name, dns.StringToType[r.Type], r.TTL)
	switch r.Type {
	case "A":
		return &dns.A{Hdr: h, A: net.ParseIP(r.Value)}
	case "AAAA":
		return &dns.AAAA{Hdr: h, AAAA: net.ParseIP(r.Value)}
	case "CNAME":
		return &dns.CNAME{Hdr: h, Target: dns.Fqdn(r.Value)}
	case "NS":
		return &dns.NS{Hdr: h, Ns: dns.Fqdn(r.Value)}
	case "MX":
		return &dns.MX{Hdr: h, Mx: dns.Fqdn(r.Value), Preference: uint16(r.Priority)} // 1..50
	case "TXT":
		return &dns.TXT{Hdr: h, Txt: chunks(r.Value)}
	}
	return nil
}

// chunks cuts a text into strings of at most 255 bytes (RFC 1035, 3.3).
func chunks(text string) []string {
	var parts []string
	for len(text) > 255 {
		parts, text = append(parts, text[:255]), text[255:]
	}
	return append(parts, text)
}
