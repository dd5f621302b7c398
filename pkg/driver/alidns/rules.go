package alidns

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
)

const minWeight, maxWeight = 1, 100

// parseWeights reads ["192.0.2.1=80", "192.0.2.2=20"].
func parseWeights(items []string) (weights, error) {
	if len(items) == 0 {
		return nil, nil
	}
	w := weights{}
	for _, item := range items {
		value, share, ok := strings.Cut(item, "=")
		n, err := strconv.Atoi(share)
		switch {
		case !ok || value == "" || err != nil || strconv.Itoa(n) != share:
			return nil, hint.Wrap(fmt.Errorf("weights: %q is not VALUE=WEIGHT", item), `for example weights: ["192.0.2.1=80", "192.0.2.2=20"]`)
		case n == 0:
			return nil, hint.Wrap(fmt.Errorf("weights: %s has weight 0, which Alidns does not have", value),
				"switch it off: take it out of values and weights, and name it in disabled: [%s]", value)
		case n < minWeight || n > maxWeight:
			return nil, fmt.Errorf("weights: that of %s is %d..%d, not %d", value, minWeight, maxWeight, n)
		}
		if _, twice := w[value]; twice {
			return nil, fmt.Errorf("weights: %s is named twice", value)
		}
		w[value] = n
	}
	return w, nil
}

// Refuse holds what is to be set against Alidns' rules.
func (p *provider) Refuse(swaps []recordset.Swap) error {
	for _, s := range swaps {
		if s.New.Absent() {
			continue
		}
		w, err := wanted(s.New)
		if err == nil {
			err = cmp.Or(refuseWeights(s.Name, w), refuseDisabled(s, w))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// apart is advice for A+AAAA.
const apart = "of A+AAAA, name the A and the AAAA set by themselves"

func refuseWeights(n recordset.Name, w want) error {
	if len(w.weights) == 0 {
		return nil
	}
	switch named := w.weights.keys(); {
	case !weighable(n.Type):
		return fmt.Errorf("%s records have no weights", n.Type)
	case strings.HasPrefix(n.Host, "*"):
		return errors.New("the records of a wildcard cannot have weights")
	case !slices.Equal(named, w.values):
		return hint.Wrap(fmt.Errorf("the weights are of %s, but the values are %s", strings.Join(named, " "), strings.Join(w.values, " ")),
			"set values and weights in one step, each value with its weight; or weights: [] for all values in every answer; %s", apart)
	}
	return nil
}

func refuseDisabled(s recordset.Swap, w want) error {
	before := s.Old.Extra[Disabled].List()
	if s.Name.Type == "CNAME" && !s.Old.Absent() && !slices.Equal(before, w.disabled) {
		return hint.Wrap(errors.New("a CNAME cannot be switched off for another one: a name has one, and there would be none or two for a moment"),
			"set the new value: it takes the place of the old one")
	}
	for _, v := range w.disabled {
		canonical, err := recordset.CanonicalValue(s.Name.Type, v)
		switch {
		case err != nil:
			return hint.Wrap(fmt.Errorf("disabled: %w", err), "%s", apart)
		case canonical != v:
			return hint.Wrap(fmt.Errorf("disabled: %q would be read as %q", v, canonical), "write it as %q", canonical)
		case slices.Contains(w.values, v):
			return hint.Wrap(fmt.Errorf("%s is in values and in disabled", v), "set both in one step: a value is in one of them")
		case !slices.Contains(before, v) && !slices.Contains(s.Old.Values, v):
			return hint.Wrap(fmt.Errorf("disabled: there is no record of %s to switch off", v),
				"Alidns can only make records that answer at once: set it in values first")
		}
	}
	for _, v := range before {
		if !slices.Contains(w.disabled, v) && !slices.Contains(w.values, v) {
			return hint.Wrap(fmt.Errorf("%s is switched off, and flip does not delete such a record: it could not be put back without answering for a moment", v),
				"leave it in disabled, and delete it by hand once nobody wants to go back")
		}
	}
	return nil
}
