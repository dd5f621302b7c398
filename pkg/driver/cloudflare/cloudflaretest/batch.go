package cloudflaretest

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// fields are what a batch may say of a record. created_on is tolerated: older
// SDKs send it.
type fields struct {
	ID        string          `json:"id"`
	Name      *string         `json:"name"`
	Type      *string         `json:"type"`
	Content   *string         `json:"content"`
	TTL       *int            `json:"ttl"`
	Proxied   *bool           `json:"proxied"`
	Comment   *string         `json:"comment"`
	Tags      *[]string       `json:"tags"`
	Settings  *map[string]any `json:"settings"`
	Priority  *int            `json:"priority"`
	CreatedOn json.RawMessage `json:"created_on"`
}

type batch struct {
	Deletes []struct {
		ID string `json:"id"`
	} `json:"deletes"`
	Patches []fields `json:"patches"`
	Puts    []fields `json:"puts"`
	Posts   []fields `json:"posts"`
}

// maxBatch is what a free plan may send at once.
const maxBatch = 200

// batch is one transaction: deletes, patches, puts, posts; all or nothing.
func (f *Fake) batch(body []byte) (any, error) {
	var b batch
	if err := strictly(body, &b); err != nil {
		return nil, err
	}
	switch n := len(b.Deletes) + len(b.Patches) + len(b.Puts) + len(b.Posts); {
	case n == 0:
		return nil, refuse(http.StatusBadRequest, 9207, "Request body is invalid: empty batch")
	case n > maxBatch:
		return nil, refuse(http.StatusBadRequest, 81068, "Batch size exceeds the limit of %d", maxBatch)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := slices.Clone(f.records)
	done := map[string][]any{"deletes": {}, "patches": {}, "puts": {}, "posts": {}}
	for _, d := range b.Deletes {
		i, err := find(now, d.ID)
		if err != nil {
			return nil, err
		}
		done["deletes"] = append(done["deletes"], shown(now[i]))
		now = slices.Delete(now, i, i+1)
	}
	for verb, all := range map[string][]fields{"patches": b.Patches, "puts": b.Puts} {
		for _, x := range all {
			i, err := find(now, x.ID)
			if err != nil {
				return nil, err
			}
			r := Record{ID: x.ID}
			if verb == "patches" {
				r = now[i]
			}
			if now[i], err = f.write(now, r, x, verb == "puts"); err != nil {
				return nil, err
			}
			done[verb] = append(done[verb], shown(now[i]))
		}
	}
	for _, x := range b.Posts {
		if x.ID != "" {
			return nil, refuse(http.StatusBadRequest, 9207, "a new record has no id")
		}
		r, err := f.write(now, Record{}, x, true)
		if err != nil {
			return nil, err
		}
		r.ID = f.newID()
		now = append(now, r)
		done["posts"] = append(done["posts"], shown(r))
	}
	f.commitLocked(now)
	return done, nil
}

func find(all []Record, id string) (int, error) {
	i := slices.IndexFunc(all, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return 0, refuse(http.StatusNotFound, 81044, "Record does not exist.")
	}
	return i, nil
}

// write completes and checks a record among all others.
func (f *Fake) write(all []Record, r Record, x fields, whole bool) (Record, error) {
	if whole && (x.Name == nil || x.Type == nil || x.Content == nil) {
		return r, refuse(http.StatusBadRequest, 9000, "DNS name, type and content are required")
	}
	if whole && r.TTL == 0 {
		r.TTL = 1
	}
	set(&r.Name, x.Name)
	set(&r.Type, x.Type)
	set(&r.Content, x.Content)
	set(&r.TTL, x.TTL)
	set(&r.Proxied, x.Proxied)
	set(&r.Comment, x.Comment)
	set(&r.Tags, x.Tags)
	set(&r.Settings, x.Settings)
	if x.Priority != nil {
		r.Priority = x.Priority
	}
	r.Name = strings.ToLower(r.Name)
	if r.Proxied {
		r.TTL = 1
	}
	if err := valid(r); err != nil {
		return r, err
	}
	return r, conflict(all, r)
}

func set[T any](into, from *T) {
	if from != nil {
		*into = *from
	}
}

func valid(r Record) error {
	if r.Name != Zone && !strings.HasSuffix(r.Name, "."+Zone) {
		return refuse(http.StatusBadRequest, 9000, "DNS name is invalid: %s is not in %s", r.Name, Zone)
	}
	if r.TTL != 1 && (r.TTL < 60 || r.TTL > 86400) {
		return refuse(http.StatusBadRequest, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
	}
	if r.Proxied && r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME" {
		return refuse(http.StatusBadRequest, 9004, "This record type cannot be proxied.")
	}
	addr, err := netip.ParseAddr(r.Content)
	switch {
	case r.Type == "A" && (err != nil || !addr.Is4()):
		return refuse(http.StatusBadRequest, 9005, "Content for A record must be a valid IPv4 address.")
	case r.Type == "AAAA" && (err != nil || !addr.Is6() || addr.Is4In6()):
		return refuse(http.StatusBadRequest, 9006, "Content for AAAA record must be a valid IPv6 address.")
	case r.Type == "CNAME" && (err == nil || r.Content == ""):
		return refuse(http.StatusBadRequest, 9007, "Content for CNAME record is invalid.")
	case r.Type == "MX" && r.Priority == nil:
		return refuse(http.StatusBadRequest, 9100, "priority is a required field.")
	}
	return nil
}

func conflict(all []Record, r Record) error {
	for _, o := range all {
		switch {
		case o.ID == r.ID || o.Name != r.Name:
		case o.Type == r.Type && o.Content == r.Content:
			return refuse(http.StatusBadRequest, 81058, "An identical record already exists.")
		case r.Type == "CNAME" && (o.Type == "A" || o.Type == "AAAA" || o.Type == "CNAME"):
			return refuse(http.StatusBadRequest, 81053, "An A, AAAA, or CNAME record with that host already exists.")
		case o.Type == "CNAME" && (r.Type == "A" || r.Type == "AAAA"):
			return refuse(http.StatusBadRequest, 81054, "A CNAME record with that host already exists.")
		}
	}
	return nil
}
