package httpdns

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxTTL is the longest that an answer is kept, as BIND's max-cache-ttl.
const maxTTL = 7 * 24 * time.Hour

// record is one name's part of an answer.
type record struct {
	ips []netip.Addr
	ttl time.Duration
}

// errNoAddress: the service answers 200 without addresses for a name that does
// not exist, for one that it does not serve and for a request that it does not
// understand.
var errNoAddress = errors.New("answered without an address (the name may not be enabled there)")

// loose is a JSON scalar that services write as text or as a number.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*l = loose(strings.TrimSpace(text))
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(b, &number); err != nil {
		return fmt.Errorf("%.20s is neither text nor a number", b)
	}
	*l = loose(number)
	return nil
}

// parseJSON reads {"msg":"Success","data":{"NAME":{"ips":[..],"ttl":300}},"retCode":"0"}.
// Names come in lower case. A name without a valid address is left out.
func parseJSON(body []byte) (map[string]record, error) {
	var doc struct {
		Msg  string          `json:"msg"`
		Code loose           `json:"retCode"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("the answer is not the JSON of HTTPDNS: %w", err)
	}
	if doc.Code == "" {
		return nil, errors.New("the answer has no retCode")
	}
	if code, err := strconv.ParseFloat(string(doc.Code), 64); err != nil || code != 0 {
		return nil, fmt.Errorf("the service says retCode %.20s (%.80s)", string(doc.Code), printable(doc.Msg))
	}
	var data map[string]json.RawMessage
	if json.Unmarshal(doc.Data, &data) != nil {
		return nil, errNoAddress // null, [] or "" where there is no answer
	}
	found := map[string]record{}
	for name, raw := range data {
		var one struct {
			IPs []string `json:"ips"`
			TTL loose    `json:"ttl"`
		}
		if json.Unmarshal(raw, &one) != nil {
			continue
		}
		if r := (record{addresses(one.IPs), seconds(string(one.TTL))}); len(r.ips) > 0 {
			found[canonical(name)] = r
		}
	}
	return found, nil
}

// parsePlain reads lines "IP TTL" of one name. The TTL of the answer is the
// shortest.
func parsePlain(body []byte) (record, error) {
	var r record
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 {
			return record{}, fmt.Errorf("the line %.60q is not an address and its TTL", strings.TrimSpace(line))
		}
		ips := addresses(fields[:1])
		if len(ips) == 0 {
			return record{}, fmt.Errorf("%.60q is not an address", fields[0])
		}
		if _, err := strconv.ParseUint(fields[1], 10, 64); err != nil {
			return record{}, fmt.Errorf("%.60q is not a TTL", fields[1])
		}
		ttl := seconds(fields[1])
		if len(r.ips) == 0 || ttl < r.ttl {
			r.ttl = ttl
		}
		r.ips = append(r.ips, ips...)
	}
	if len(r.ips) == 0 {
		return record{}, errNoAddress
	}
	return r, nil
}

// addresses are the valid ones, each once, in their order.
func addresses(texts []string) []netip.Addr {
	var ips []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, text := range texts {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		a = a.Unmap()
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || seen[a] {
			continue
		}
		seen[a] = true
		ips = append(ips, a)
	}
	return ips
}

// seconds reads a TTL; what is none is 0: such an answer is not kept.
func seconds(text string) time.Duration {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || f <= 0 {
		return 0
	}
	return time.Duration(min(f, maxTTL.Seconds())) * time.Second
}

// canonical is a name as it is compared.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// printable keeps foreign text on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
