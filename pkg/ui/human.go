package ui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is d as a person says it: 840ms, 24.1s, 4m 20s, 2h, 1h 5m, 3d 4h.
// Two units at most, rounded.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(max(-d, 0)) // the smallest duration has no positive
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return "1ms"
	case d.Round(time.Millisecond) < time.Second:
		return fmt.Sprintf("%dms", d.Round(time.Millisecond).Milliseconds())
	case d.Round(100*time.Millisecond) < time.Minute:
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	case d.Round(time.Second) < time.Hour:
		return twoUnits(d.Round(time.Second), time.Minute, "m", time.Second, "s")
	case d.Round(time.Minute) < 24*time.Hour:
		return twoUnits(d.Round(time.Minute), time.Hour, "h", time.Minute, "m")
	}
	return twoUnits(d.Round(time.Minute).Truncate(time.Hour), 24*time.Hour, "d", time.Hour, "h")
}

func twoUnits(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	s := fmt.Sprintf("%d%s", d/big, bigName)
	if rest := d % big / small; rest > 0 {
		s += fmt.Sprintf(" %d%s", rest, smallName)
	}
	return s
}

// Seconds is Duration for the records' fractions of a second.
func Seconds(s float64) string { return Duration(fromSeconds(s)) }

func fromSeconds(s float64) time.Duration {
	d := s * float64(time.Second)
	if math.IsNaN(d) || math.Abs(d) >= math.MaxInt64 {
		return 0
	}
	return time.Duration(d)
}

// Count is n with separators between thousands: 8,120.
func Count(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Percent is a share between 0 and 1: 4.1 %, 25 %, 0.04 %. What is not nothing
// never reads 0 %.
func Percent(share float64) string {
	p := share * 100
	for _, digits := range []int{1, 2, 3} {
		scale := math.Pow10(digits)
		if rounded := math.Round(p*scale) / scale; rounded != 0 || p == 0 {
			return strconv.FormatFloat(rounded, 'f', -1, 64) + " %"
		}
	}
	return "< 0.001 %"
}

// Ago says how long before now t was: just now, 3m ago, in 5m. Two days and
// more are a date.
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "-"
	case d.Abs() >= 48*time.Hour:
		return t.In(now.Location()).Format(time.DateOnly)
	case d < -time.Second:
		return "in " + oneUnit(-d)
	case d < time.Second:
		return "just now"
	}
	return oneUnit(d) + " ago"
}

func oneUnit(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%dh", d/time.Hour)
}

// plural is "1 change", "8 changes".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return Count(n) + " " + word + "s"
}
