package dnstest

import (
	"fmt"
	"strings"
	"testing"
)

// BIND starts a primary of the zone. It takes updates and transfers that are
// signed with TestKey.
func BIND(t testing.TB, z Zone, opts ...Option) *Server {
	t.Helper()
	o := settings(t, opts)
	dir := t.TempDir()
	policy := fmt.Sprintf("update-policy { grant %s zonesub ANY; };", key.Name)
	if o.readOnly {
		policy = "allow-update { none; };"
	}
	notify := "notify no;"
	if len(o.notify) > 0 {
		notify = "notify explicit; also-notify {" + endpoints(t, o.notify) + " };"
	}
	zone := fmt.Sprintf("zone %q { type primary; file %q; %s %s };", z.name(), write(t, dir, "zone", z.file()), policy, notify)
	return named(t, "BIND", z.name(), dir, o, zone)
}

// BINDSecondary starts a secondary of a primary's zone, at an address that the
// primary was told of with Notify. It forwards updates to the primary. It
// returns when it has the zone.
func BINDSecondary(t testing.TB, primary *Server, opts ...Option) *Server {
	t.Helper()
	o := settings(t, opts)
	host, port := hostPort(t, primary.Addr())
	zone := fmt.Sprintf("zone %q { type secondary; file \"copy\"; masterfile-format text; primaries { %s port %s key %s; };\n"+
		"  allow-notify { any; }; allow-update-forwarding { any; }; notify no; };", primary.Zone(), host, port, key.Name)
	return named(t, "BIND secondary", primary.Zone(), t.TempDir(), o, zone)
}

// Pair starts a BIND primary and a secondary that it notifies. The options are
// the primary's.
func Pair(t testing.TB, z Zone, opts ...Option) (primary, secondary *Server) {
	t.Helper()
	addr := FreeAddr(t, "127.0.0.1")
	primary = BIND(t, z, append([]Option{Notify(addr)}, opts...)...)
	return primary, BINDSecondary(t, primary, OnAddr(addr))
}

func endpoints(t testing.TB, addrs []string) string {
	t.Helper()
	var b strings.Builder
	for _, a := range addrs {
		host, port := hostPort(t, a)
		fmt.Fprintf(&b, " %s port %s;", host, port)
	}
	return b.String()
}

// named runs BIND with one zone.
func named(t testing.TB, name, zone, dir string, o options, zoneBlock string) *Server {
	t.Helper()
	host, port := hostPort(t, o.addr)
	if host != "127.0.0.1" {
		t.Fatalf("BIND listens on addresses of interfaces only: 127.0.0.1, not %s", host)
	}
	s := &Server{name: name, zone: zone, addr: o.addr}
	conf := fmt.Sprintf(`key %q { algorithm %s; secret %q; };
controls { };
%s
options {
  directory %q;
  pid-file "named.pid"; session-keyfile "session.key"; lock-file none;
  listen-on port %s { %s; };
  %s
  listen-on-v6 { none; };
  query-source address %s;
  notify-source %s;
  transfer-source %s;
  recursion no; dnssec-validation no; empty-zones-enable no;
  minimal-responses yes; allow-query { any; };
  allow-transfer { key %s; };
  notify-delay %d; serial-query-rate 1000; transfers-in 100; tcp-clients 500;
%s};
%s
`, key.Name, key.Algorithm, key.Secret, s.dohBlocks(t, dir, o), dir, port, host, s.dohListen(t, o), host, host, host,
		key.Name, int(o.notifyDelay.Seconds()), o.extra("  "), zoneBlock)
	return start(t, s, program(t, "named"), "-g", "-4", "-n", "1", "-c", write(t, dir, "named.conf", conf))
}
