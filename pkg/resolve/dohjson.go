package resolve

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// jsonRecord is a record in the JSON that public resolvers speak. There is no
// RFC of it; the names are those of Google's and Cloudflare's documentation.
type jsonRecord struct {
	Name string `json:"name"`
	Type uint16 `json:"type"`
	TTL  uint32 `json:"TTL"`
	Data string `json:"data"`
}

// readJSON reads an answer in that JSON.
func (a ask) readJSON(body []byte) (Answer, error) {
	var doc struct {
		Status    *int         `json:"Status"`
		TC        bool         `json:"TC"`
		Answer    []jsonRecord `json:"Answer"`
		Authority []jsonRecord `json:"Authority"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return Answer{}, fmt.Errorf("the answer is not JSON: %w", err)
	}
	if doc.Status == nil || *doc.Status < 0 || *doc.Status > 4095 {
		return Answer{}, errors.New("the answer has no Status")
	}
	m := a.message()
	m.Response, m.Rcode, m.Truncated, m.Extra = true, *doc.Status, doc.TC, nil
	var err error
	if m.Answer, err = records(doc.Answer); err != nil {
		return Answer{}, err
	}
	if m.Ns, err = records(doc.Authority); err != nil {
		return Answer{}, err
	}
	return a.read(m)
}

// records reads the records whose types can be asked for.
func records(list []jsonRecord) ([]dns.RR, error) {
	var all []dns.RR
	for _, r := range list {
		kind, ok := dns.TypeToString[r.Type]
		if !ok || !slices.Contains(Types(), kind) {
			continue // signatures and the like
		}
		data := r.Data
		if kind == "TXT" && !strings.HasPrefix(data, `"`) {
			data = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(data) + `"`
		}
		owner := dns.Fqdn(r.Name)
		if !validName(owner) || strings.ContainsAny(owner+data, "\r\n") || strings.ContainsAny(owner, " \t;\"()$@") {
			return nil, fmt.Errorf("%.60q is not the name of a record, or %.60q not its data", r.Name, r.Data)
		}
		rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", owner, r.TTL, kind, data))
		if err != nil || rr == nil {
			return nil, fmt.Errorf("%.60q is not the data of a record of type %s", r.Data, kind)
		}
		all = append(all, rr)
	}
	return all, nil
}
