package nacos

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Match reads a pattern of a plan that is more than a name: an address range
// (10.1.0.0/24), or terms key=value joined by commas that must all hold. Keys
// are service, group, cluster, host, port and metadata.KEY; values may hold *
// and host may be a range. It is nil for names and patterns of names.
func (t *Target) Match(pattern string) (func(state.Object) bool, error) {
	if prefix, err := netip.ParsePrefix(pattern); err == nil {
		return inRange(prefix), nil
	}
	if !strings.Contains(pattern, "=") {
		return nil, nil //nolint:nilnil // the contract: it is a name
	}
	var all []func(state.Object) bool
	for term := range strings.SplitSeq(pattern, ",") {
		name, want, ok := strings.Cut(strings.TrimSpace(term), "=")
		if !ok {
			return nil, fmt.Errorf("%q in %q is not key=value", term, pattern)
		}
		one, err := matchTerm(name, want)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		}
		all = append(all, one)
	}
	return func(o state.Object) bool {
		return !slices.ContainsFunc(all, func(one func(state.Object) bool) bool { return !one(o) })
	}, nil
}

func matchTerm(name, want string) (func(state.Object) bool, error) {
	if name == "host" {
		if prefix, err := netip.ParsePrefix(want); err == nil {
			return inRange(prefix), nil
		}
	}
	if _, err := path.Match(want, ""); err != nil {
		return nil, fmt.Errorf("%s: %q is not a pattern: %w", name, want, err)
	}
	fact := func(o state.Object) string { return o.Info[name] }
	switch {
	case name == "service", name == "group", name == "cluster", name == "host", strings.HasPrefix(name, "metadata."):
	case name == "port":
		fact = func(o state.Object) string {
			_, port, _ := cutLast(o.Info["address"], ":")
			return port
		}
	default:
		return nil, hint.Wrap(fmt.Errorf("%q is nothing that instances are chosen by", name), "keys: service, group, cluster, host, port, metadata.KEY")
	}
	return func(o state.Object) bool {
		got := fact(o)
		// path.Match stops at slashes, which metadata may hold.
		ok, _ := path.Match(strings.ReplaceAll(want, "/", "\x00"), strings.ReplaceAll(got, "/", "\x00"))
		return ok
	}, nil
}

func inRange(prefix netip.Prefix) func(state.Object) bool {
	prefix = prefix.Masked()
	return func(o state.Object) bool {
		addr, err := netip.ParseAddr(o.Info["host"])
		return err == nil && prefix.Contains(addr.Unmap())
	}
}
