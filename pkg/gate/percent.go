package gate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// Percent is a share between 0 and 1, written "1%" or 0.01 in a plan.
type Percent float64

// UnmarshalText reads "1%", "0.5 %" or "0.01". A bare number of one or more is
// refused: nobody can tell whether 1 is everything or a hundredth.
func (p *Percent) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	number, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return hint.Wrap(fmt.Errorf("%q is not a percentage", s), "write it like 1%% or 0.01")
	}
	if !percent && f >= 1 {
		return hint.Wrap(fmt.Errorf("%s could mean %s%% or %g%%", s, s, f*100), "write it with a percent sign: %s%%", s)
	}
	if percent {
		f /= 100
	}
	if f < 0 || f > 1 {
		return fmt.Errorf("%s is not between 0%% and 100%%", s)
	}
	*p = Percent(f)
	return nil
}

// String is p for people: "1 %", "4.1 %".
func (p Percent) String() string {
	f := float64(p) * 100
	digits := 1
	if f > 0 && f < 0.1 {
		digits = 3
	}
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + " %"
}
