package resolve

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// Quorum is how many of a view's answers have to be as expected: all, at least
// a number, or at least a share. It is asked of each view by itself: many
// samples of a resolver do not outvote a name server. The zero value is all.
type Quorum struct {
	count   int
	percent float64
}

// UnmarshalText reads "all", "3" or "90%".
func (q *Quorum) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	bad := hint.Wrap(fmt.Errorf("%q is not a quorum", s), "write all, a number of answers like 3, or a share like 90%%")
	if s == "all" {
		*q = Quorum{}
		return nil
	}
	if share, ok := strings.CutSuffix(s, "%"); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(share), 64)
		if err != nil || !(f > 0 && f <= 100) {
			return bad
		}
		*q = Quorum{percent: f}
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return bad
	}
	*q = Quorum{count: n}
	return nil
}

// MarshalText is the inverse.
func (q Quorum) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

func (q Quorum) String() string {
	switch {
	case q.percent > 0:
		return strconv.FormatFloat(q.percent, 'f', -1, 64) + "%"
	case q.count > 0:
		return strconv.Itoa(q.count)
	}
	return "all"
}

// of is how many of n answers are needed. A view with fewer answers than the
// number needs all of them.
func (q Quorum) of(n int) int {
	switch {
	case q.percent > 0:
		return min(n, int(math.Ceil(float64(n)*q.percent/100-1e-9)))
	case q.count > 0:
		return min(n, q.count)
	}
	return n
}

// OnUnknown says what an unknown answer means for a verdict.
type OnUnknown string

// What unknown answers can mean.
const (
	UnknownWait   OnUnknown = "wait"   // there is no verdict where they would decide it
	UnknownIgnore OnUnknown = "ignore" // as if they had not been asked for; at least one answer must be known
	UnknownFail   OnUnknown = "fail"   // they are not as expected
)

// UnmarshalText reads one of the words.
func (u *OnUnknown) UnmarshalText(text []byte) error {
	switch v := OnUnknown(strings.TrimSpace(string(text))); v {
	case UnknownWait, UnknownIgnore, UnknownFail:
		*u = v
		return nil
	}
	return hint.Wrap(fmt.Errorf("%q does not say what unknown answers mean", text), "write wait, ignore or fail")
}
