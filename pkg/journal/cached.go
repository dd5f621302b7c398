package journal

import (
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// The activities around the caches of others.
const (
	ActivityVersions = "versions" // Versions, Versioned
	ActivityViews    = "views"    // Views, Seen
)

// Replaced is one version of a record set that was served until a change took
// its place. Whoever asked just before may keep it for its time.
type Replaced struct {
	Target string `json:"target"`
	Object string `json:"object"`
	// Values are what it held, none where the name did not exist.
	Values []string `json:"values,omitempty"`
	// Next are what took its place.
	Next []string `json:"next,omitempty"`
	// Keep is how long an answer may be kept, in seconds.
	Keep int `json:"keep_s"`
	// At is when the last name server had stopped serving it.
	At time.Time `json:"at"`
}

// Until is when the last cache has to forget it.
func (r Replaced) Until() time.Time { return r.At.Add(time.Duration(r.Keep) * time.Second) }

// Cached says until when caches may still answer with values that are not
// served any more.
type Cached struct {
	Values []string  `json:"values"`
	Until  time.Time `json:"until"`
}

// Versions asks what record sets are now, and for those of their versions
// whose end is not recorded.
type Versions struct {
	Target string   `json:"target"`
	IDs    []string `json:"ids"`
	// Unsure are changes that may have been made: nobody saw their end.
	Unsure []state.Change `json:"unsure,omitempty"`
}

// Versioned is the answer. What cannot be read is not in Objects.
type Versioned struct {
	Objects  map[string]map[string]state.Value `json:"objects"`
	Replaced []Replaced                        `json:"replaced,omitempty"`
	// Hidden says of objects why looking their names up does not show them.
	Hidden map[string]string `json:"hidden,omitempty"`
}

// Views is the question whether nobody sees any more what is retired.
type Views struct {
	From   []string   `json:"from"`
	Asks   []Question `json:"asks"`
	Every  string     `json:"every"`
	Passes int        `json:"passes"`
	// Until is the ceiling.
	Until time.Time `json:"until"`
}

// Question is what is asked about one record set.
type Question struct {
	Record string `json:"record"` // www.example.com A
	// Not are the values that nobody may see.
	Not []string `json:"not,omitempty"`
	// Set and TTL are what everybody has to see where no value is retired: the
	// set as it is now, kept no longer than its TTL in seconds (0: any).
	Set []string `json:"set,omitempty"`
	TTL int      `json:"ttl,omitempty"`
}

// Seen is the answer.
type Seen struct {
	Pass bool   `json:"pass"`
	Text string `json:"text"`
}
