package dnstest

import (
	"fmt"
	"strings"
	"testing"
)

// Knot starts a Knot DNS primary of the zone. It takes updates and transfers
// that are signed with TestKey.
func Knot(t testing.TB, z Zone, opts ...Option) *Server {
	t.Helper()
	o := settings(t, opts)
	dir := t.TempDir()
	host, port := hostPort(t, o.addr)
	actions := "transfer, update"
	if o.readOnly {
		actions = "transfer"
	}
	var remotes, notify strings.Builder
	for i, addr := range o.notify {
		h, p := hostPort(t, addr)
		if i == 0 {
			remotes.WriteString("remote:\n")
			notify.WriteString("    notify: [")
		} else {
			notify.WriteString(", ")
		}
		fmt.Fprintf(&remotes, "  - id: secondary%d\n    address: %s@%s\n", i, h, p)
		fmt.Fprintf(&notify, "secondary%d", i)
	}
	if len(o.notify) > 0 {
		notify.WriteString("]\n")
	}
	conf := fmt.Sprintf(`server:
    rundir: %q
    listen: %s@%s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: %q
key:
  - id: %s
    algorithm: %s
    secret: %s
%sacl:
  - id: flip
    key: %s
    action: [%s]
zone:
  - domain: %s
    storage: %q
    file: zone
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: changes
    acl: flip
%s%s`, dir, host, port, dir, key.Name, key.Algorithm, key.Secret, remotes.String(), key.Name, actions, z.name(), dir, notify.String(), o.extra(""))
	write(t, dir, "zone", z.file())
	s := &Server{name: "Knot", zone: z.name(), addr: o.addr}
	return start(t, s, program(t, "knotd"), "-c", write(t, dir, "knot.conf", conf))
}

// Unbound starts a resolver that asks an authoritative server for its zone.
func Unbound(t testing.TB, upstream *Server, opts ...Option) *Server {
	t.Helper()
	o := settings(t, opts)
	dir := t.TempDir()
	host, port := hostPort(t, o.addr)
	var more strings.Builder
	if o.minTTL > 0 {
		fmt.Fprintf(&more, "    cache-min-ttl: %d\n", o.minTTL)
	}
	if o.serveStale {
		more.WriteString("    serve-expired: yes\n    serve-expired-client-timeout: 0\n")
	}
	up, upPort := hostPort(t, upstream.Addr())
	conf := fmt.Sprintf(`server:
    interface: %s
    port: %s
    access-control: 127.0.0.0/8 allow
    username: ""
    chroot: ""
    directory: %q
    pidfile: ""
    use-syslog: no
    logfile: ""
    num-threads: 1
    do-ip6: no
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: "%s." nodefault
    local-zone: "test." nodefault
%s%sremote-control:
    control-enable: no
stub-zone:
    name: "%s."
    stub-addr: %s@%s
`, host, port, dir, upstream.Zone(), more.String(), o.extra("    "), upstream.Zone(), up, upPort)
	s := &Server{name: "unbound", zone: upstream.Zone(), addr: o.addr}
	return start(t, s, program(t, "unbound"), "-d", "-p", "-c", write(t, dir, "unbound.conf", conf))
}

// Dnsmasq starts a forwarder with a cache that asks another server for
// everything.
func Dnsmasq(t testing.TB, upstream *Server, opts ...Option) *Server {
	t.Helper()
	o := settings(t, opts)
	dir := t.TempDir()
	host, port := hostPort(t, o.addr)
	up, upPort := hostPort(t, upstream.Addr())
	conf := fmt.Sprintf("no-resolv\nno-hosts\nno-daemon\nbind-interfaces\nlisten-address=%s\nport=%s\nserver=%s#%s\nuser=\npid-file=\nlog-facility=-\n",
		host, port, up, upPort)
	if o.minTTL > 0 {
		conf += fmt.Sprintf("min-cache-ttl=%d\n", o.minTTL)
	}
	conf += o.extra("")
	s := &Server{name: "dnsmasq", zone: upstream.Zone(), addr: o.addr}
	return start(t, s, program(t, "dnsmasq"), "-C", write(t, dir, "dnsmasq.conf", conf))
}
