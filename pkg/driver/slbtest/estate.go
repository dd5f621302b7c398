package slbtest

import (
	"net"
	"strconv"
	"time"
)

// Estate is everything that an account has. It is what a server is seeded with
// and what it changes.
type Estate struct {
	CLB       []CLB   `json:"clb"`
	ALB       []ALB   `json:"alb"`
	ALBGroups []Group `json:"alb_groups"`
	NLB       []NLB   `json:"nlb"`
	NLBGroups []Group `json:"nlb_groups"`
	Zones     []Zone  `json:"zones"`
}

// Member is a server of a group.
type Member struct {
	// ServerID is an instance ("i-a1"), an interface ("eni-1") or an IP.
	ServerID string `json:"server_id"`
	// ServerIP is shown; for Type Ip it defaults to ServerID.
	ServerIP string `json:"server_ip"`
	// Port is shown, and part of the identity. In a CLB's default group it is 0.
	Port int `json:"port"`
	// Weight is 0..100. What is left out is 0: parked.
	Weight int `json:"weight"`
	// Type is Ecs (the default), Eni, Eci or Ip; CLB shows it in lower case.
	Type        string `json:"type"`
	Description string `json:"description"`
	// Address is the "host:port" where it really listens: what is checked and
	// where traffic goes; default ServerIP:Port.
	Address string `json:"address"`
}

// Key names a member in its group: "i-a1:8080".
func (m Member) Key() string { return m.ServerID + ":" + strconv.Itoa(m.Port) }

func (m Member) address(port int) string {
	if m.Address != "" {
		return m.Address
	}
	if m.Port != 0 {
		port = m.Port
	}
	return net.JoinHostPort(m.ServerIP, strconv.Itoa(port))
}

// Group is a server group: a CLB's VServer group, an ALB's or an NLB's.
type Group struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []Member `json:"members"`
	// Managed is ServiceManagedMode Managed: a controller owns the group.
	Managed bool              `json:"managed"`
	Tags    map[string]string `json:"tags"`

	// The rest is of ALB and NLB groups; a CLB has it in its listeners.

	Scheduler string `json:"scheduler"` // "Wrr" by default
	Protocol  string `json:"protocol"`  // "HTTP" or "TCP" by default
	Check     Check  `json:"check"`
	Drain     Drain  `json:"drain"`
	Sticky    Sticky `json:"sticky"`
	// SlowStart is shown, and has no effect here.
	SlowStart time.Duration `json:"slow_start"`
}

// Check is a health check. The zero value connects with TCP.
type Check struct {
	Off bool `json:"off"`
	// Path makes it an HTTP GET whose status must be 200..399.
	Path string `json:"path"`
	// Healthy and Unhealthy are the checks in a row that it takes; default 2.
	Healthy   int `json:"healthy"`
	Unhealthy int `json:"unhealthy"`
}

// Drain cuts open connections that long after a member was removed or failed
// its checks. It is shown in whole seconds, at least 1.
type Drain struct {
	On      bool          `json:"on"`
	Timeout time.Duration `json:"timeout"`
}

func (d Drain) seconds() int { return seconds(d.Timeout) }

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// Sticky is session persistence: shown, without effect in the data plane.
type Sticky struct {
	On bool `json:"on"`
	// Type is "insert" or "server"; empty is insert.
	Type    string        `json:"type"`
	Timeout time.Duration `json:"timeout"`
	Cookie  string        `json:"cookie"`
}

// CLB is a classic load balancer.
type CLB struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"` // shown
	Status  string `json:"status"`  // "active" by default
	Managed bool   `json:"managed"`
	// Protected is ModificationProtectionStatus ConsoleProtection.
	Protected bool              `json:"protected"`
	Tags      map[string]string `json:"tags"`
	// Default is the default server group. Its members have no port: the listeners say it.
	Default     []Member           `json:"default"`
	Groups      []Group            `json:"groups"`
	MasterSlave []MasterSlaveGroup `json:"master_slave"`
	Listeners   []CLBListener      `json:"listeners"`
}

// MasterSlaveGroup sends to its master.
type MasterSlaveGroup struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Master Member `json:"master"`
	Slave  Member `json:"slave"`
}

// CLBListener is a port of a CLB.
type CLBListener struct {
	Port     int    `json:"port"`
	Protocol string `json:"protocol"` // "http", "https", "tcp" or "udp"
	// Group is a VServer group and MasterSlave a master/slave group; without
	// either it is the default group at BackendPort.
	Group       string `json:"group"`
	MasterSlave string `json:"master_slave"`
	BackendPort int    `json:"backend_port"`
	Scheduler   string `json:"scheduler"` // "wrr" by default
	// Forward is ListenerForward=on: the listener redirects and cannot be set.
	Forward        bool          `json:"forward"`
	Drain          Drain         `json:"drain"` // TCP and UDP only
	Sticky         Sticky        `json:"sticky"`
	Persistence    time.Duration `json:"persistence"` // TCP and UDP
	IdleTimeout    time.Duration `json:"idle_timeout"`
	RequestTimeout time.Duration `json:"request_timeout"`
	Check          Check         `json:"check"`
	Status         string        `json:"status"` // "running" by default
	Rules          []CLBRule     `json:"rules"`
}

// CLBRule sends a domain and a path prefix of an HTTP listener to a group.
type CLBRule struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
	URL    string `json:"url"`
	Group  string `json:"group"`
}

// ALB is an application load balancer.
type ALB struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Edition   string            `json:"edition"` // "Standard" by default
	Status    string            `json:"status"`  // "Active" by default
	Managed   bool              `json:"managed"`
	Tags      map[string]string `json:"tags"`
	Listeners []ALBListener     `json:"listeners"`
}

// ALBListener is a port of an ALB.
type ALBListener struct {
	ID       string `json:"id"`
	Port     int    `json:"port"`
	Protocol string `json:"protocol"` // "HTTP" by default, "HTTPS" or "QUIC"
	// Group is the server group of the default action.
	Group          string        `json:"group"`
	IdleTimeout    time.Duration `json:"idle_timeout"`
	RequestTimeout time.Duration `json:"request_timeout"`
	Managed        bool          `json:"managed"`
	Status         string        `json:"status"` // "Running" by default
	Rules          []ALBRule     `json:"rules"`
}

// ALBRule is a forwarding rule. Lower priorities come first.
type ALBRule struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Priority   int         `json:"priority"`
	Managed    bool        `json:"managed"`
	Conditions []Condition `json:"conditions"`
	Actions    []Action    `json:"actions"`
}

// NLB is a network load balancer.
type NLB struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Status    string            `json:"status"` // "Active" by default
	Tags      map[string]string `json:"tags"`
	Listeners []NLBListener     `json:"listeners"`
}

// NLBListener is a port of an NLB.
type NLBListener struct {
	ID          string        `json:"id"`
	Port        int           `json:"port"`
	Protocol    string        `json:"protocol"` // "TCP" by default, "UDP" or "TCPSSL"
	Group       string        `json:"group"`
	IdleTimeout time.Duration `json:"idle_timeout"`
	Status      string        `json:"status"` // "Running" by default
}

// Zone is a domain of Alidns.
type Zone struct {
	Name string `json:"name"`
	// MinTTL is the plan's lowest TTL in seconds; default 600.
	MinTTL int `json:"min_ttl"`
	// Version is the plan's VersionCode; default "mianfei" (no source).
	Version string   `json:"version"`
	Records []Record `json:"records"`
	// Weighted are the names whose records have weights: "www A default".
	Weighted []string `json:"weighted"`
}

// Record is a DNS record.
type Record struct {
	ID       string `json:"id"` // one is made when it is empty
	RR       string `json:"rr"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Line     string `json:"line"` // "default" by default
	TTL      int    `json:"ttl"`  // the zone's MinTTL by default
	Priority int    `json:"priority"`
	Weight   int    `json:"weight"` // 1 by default
	Disabled bool   `json:"disabled"`
	Locked   bool   `json:"locked"`
	Remark   string `json:"remark"`
}

func (r Record) set() string { return r.RR + " " + r.Type + " " + r.Line }
