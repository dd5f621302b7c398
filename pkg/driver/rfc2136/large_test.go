package rfc2136

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
)

func large(tb testing.TB) *dnstest.Server {
	tb.Helper()
	records := []string{"www 60 IN A 192.0.2.1"}
	for i := range 10_000 {
		records = append(records, fmt.Sprintf("host%d IN A 192.0.2.%d", i, i%256))
	}
	return dnstest.BIND(tb, dnstest.Zone{Records: records})
}

func TestAZoneIsNotListedToReadOneSet(t *testing.T) {
	s := large(t)
	got := read(t, opened(t, config(s)), www)
	if len(got) != 1 || got[www] == nil {
		t.Errorf("%d sets were read", len(got))
	}
	if strings.Contains(s.Log(), "AXFR") {
		t.Error("the zone was transferred")
	}
}

func BenchmarkRead(b *testing.B) {
	s := large(b)
	p, err := newPrimary(config(s), nil)
	if err != nil {
		b.Fatal(err)
	}
	d, err := recordset.New(recordset.Options{Driver: Name, Zone: p.zone, Provider: p, Records: []string{www}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
