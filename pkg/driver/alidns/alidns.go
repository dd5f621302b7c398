// Package alidns sets record sets of a domain at Alidns, Aliyun's DNS.
//
// The API changes one record a call, by its id, without a compare-and-set and
// without a token that would make an add harmless to repeat. So a change is a
// row of small steps: look, take the next step, look whether it shows. What is
// added comes before what goes, so that the values that stay answer all the
// time, and a change that was cut short goes on where it stands.
//
// A record can be switched off instead of deleted, and the records of a name
// can be answered by weight. Weight 0 does not exist there: what shall get
// nothing is switched off.
//
// Nothing of this was tested against Alidns itself, only against a stand-in
// that follows its documentation.
package alidns

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
)

// The names that plans use.
const (
	Name     = "alidns"
	Disabled = "disabled"
	Weights  = "weights"
)

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	kind := recordset.Kind(
		driver.Attribute{
			Name: Disabled, Type: driver.TypeList, Via: viaDisabled,
			Doc: "values whose record is there but switched off; what goes in here comes from values, what goes out goes back to it",
		},
		driver.Attribute{
			Name: Weights, Type: driver.TypeList, Via: viaWeights,
			Doc: "the share of each value, 1..100, as in [\"192.0.2.1=80\", \"192.0.2.2=20\"]: an answer then has one value. All of values or none of them; [] answers with all values again. Of A and AAAA",
		},
	)
	for i := range kind.Attributes {
		switch kind.Attributes[i].Name {
		case recordset.Values:
			kind.Attributes[i].Via = viaValues
			kind.Attributes[i].Doc = "the values that are answered, in any order; IPv6 addresses in their short form, names in lower case without a dot at the end"
		case recordset.TTL:
			kind.Attributes[i].Via = viaTTL
		}
	}
	return driver.Info{
		Name:    Name,
		Summary: "record sets of a domain at Alidns (Aliyun DNS): values, switched off ones, weights",
		Notes:   aliyun.Policy(Name, actions),
		Kinds:   []driver.Kind{kind},
	}
}

// actions are those of the least RAM policy.
var actions = []string{
	"DescribeDomainInfo", "DescribeSubDomainRecords", "DescribeDNSSLBSubDomains",
	"AddDomainRecord", "UpdateDomainRecord", "DeleteDomainRecord", "SetDomainRecordStatus", "SetDNSSLBStatus", "UpdateDNSSLBWeight",
}

// types are what flip sets at Alidns.
var types = []string{"A", "AAAA", "CNAME", "MX"}

// weighable reports whether records of a type can have weights.
func weighable(typ string) bool { return slices.Contains([]string{"A", "AAAA", "CNAME"}, typ) }

// Target is one domain, or one line of it.
type Target struct {
	*recordset.Target
	p       *provider
	settle  time.Duration
	servers wire.Client
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	zone, err := recordset.ParseZone(cfg.Domain)
	if err != nil {
		return nil, err
	}
	servers, err := recordset.CheckServers(cfg.NameServers)
	if err != nil {
		return nil, err
	}
	api, err := aliyun.OpenDNS(cfg.Account, env)
	if err != nil {
		return nil, err
	}
	p := &provider{
		api: api, domain: zone, line: cmp.Or(cfg.Line, defaultLine), servers: servers, unseen: cfg.Unseen, force: cfg.Force,
		timeout: cfg.retryFor() + cfg.CallTimeout(), shows: showsFor, log: log, noted: map[string]note{},
	}
	rs, err := recordset.New(recordset.Options{
		Driver: Name, Zone: zone, Provider: p, Records: cfg.Records,
		Timeout: p.timeout, MaxInFlight: cfg.CallTimeout(), SettleTimeout: cfg.SettleTimeout, Expect: 5 * time.Second,
		NameServers: p.nameServers, Unseen: cfg.Unseen, Log: log,
	})
	if err != nil {
		api.Close()
		return nil, err
	}
	return &Target{Target: rs, p: p, settle: cmp.Or(cfg.SettleTimeout, 2*time.Minute)}, nil
}
