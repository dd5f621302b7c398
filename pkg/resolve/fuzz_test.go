package resolve

import (
	"slices"
	"testing"
	"time"
)

// FuzzAnswer reads foreign DNS messages and the JSON of public resolvers.
func FuzzAnswer(f *testing.F) {
	q := ask{Question: Question{Name: "www.example.com", Type: "A"}, recurse: true}
	packed, err := q.pack()
	if err != nil {
		f.Fatal(err)
	}
	packed[2] |= 0x80 // a response
	f.Add(packed)
	f.Add([]byte(`{"Status":0,"Answer":[{"name":"www.example.com.","type":5,"TTL":60,"data":"a.example."},{"name":"a.example.","type":1,"TTL":30,"data":"192.0.2.1"}]}`))
	f.Add([]byte(`{"Status":3,"Authority":[{"name":"example.com.","type":6,"TTL":900,"data":"ns. admin. 1 2 3 4 300"}]}`))
	f.Add([]byte(`{"Status":0,"Answer":[{"name":"www.example.com.","type":1,"TTL":4294967295,"data":"$INCLUDE /etc/passwd"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{"A", "TXT", "MX"} {
			q.Type = kind
			for _, read := range []func([]byte) (Answer, error){q.unpack, q.readJSON} {
				a, err := read(body)
				if err == nil {
					sound(t, a, kind)
				}
			}
		}
	})
}

// sound: an answer says what it is and how long it holds.
func sound(t *testing.T, a Answer, kind string) {
	t.Helper()
	if (len(a.Values) == 0) != (a.Empty != "") || a.MinTTL < 0 || a.MinTTL > a.MaxTTL || a.MaxTTL >= 1<<31*time.Second || !a.HasTTL && a.MaxTTL != 0 {
		t.Errorf("%+v", a)
	}
	if !slices.IsSorted(a.Values) {
		t.Errorf("values out of order: %q", a.Values)
	}
	for _, v := range a.Values {
		if own, err := Canonical(kind, v); kind == "A" && (err != nil || own != v) {
			t.Errorf("%q is canonical as %q (%v)", v, own, err)
		}
	}
}
