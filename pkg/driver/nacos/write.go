package nacos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// known is the API that the servers were found to have.
func (c *client) known() api { return api(c.api.Load()) }

// write sends the whole tuple in the way of the server's version.
func (t *Target) write(ctx context.Context, j job) error {
	if err := t.once(ctx, j); err != nil || j.kind != register || t.client.known() == v1 {
		return err
	}
	// An overlay from before wins over a new registration.
	j.kind = update
	return t.once(ctx, j)
}

// once is one write. A server that understood it and says no (400, 404, 410)
// says so again.
func (t *Target) once(ctx context.Context, j job) error {
	err := t.client.any(ctx, func(ctx context.Context, n *node) error {
		body, version, err := t.client.at(ctx, n, func(a api) call { return t.request(a, j) })
		if err != nil {
			return err
		}
		return acknowledged(n, version, body)
	})
	if isStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusGone) {
		return driver.Permanent(err)
	}
	return err
}

// request is the call that makes j true. 1.x merges with PATCH (its PUT makes
// an instance that does not exist); in 2.x and 3.x PATCH begins from defaults
// and PUT replaces the overlay.
func (t *Target) request(a api, j job) call {
	c := call{method: http.MethodPut, path: "/v1/ns/instance", params: t.tuple(a, j)}
	if a == v3 {
		c.path = "/v3/admin/ns/instance"
	}
	switch {
	case j.kind == register:
		c.method = http.MethodPost
	case j.kind == deregister:
		c.method = http.MethodDelete
	case a == v1:
		c.method = http.MethodPatch
	}
	return c
}

// tuple is everything that the server would reset if it were left out.
func (t *Target) tuple(a api, j job) url.Values {
	i := j.want
	if j.kind == deregister {
		i = j.old
	}
	p := t.params(a, j.service)
	for name, value := range map[string]string{
		"clusterName": j.cluster, "ip": j.ip, "port": strconv.Itoa(j.port),
		"ephemeral": strconv.FormatBool(i.ephemeral), "enabled": strconv.FormatBool(i.enabled),
		"weight": strconv.FormatFloat(i.weight, 'f', -1, 64), "metadata": metadataText(i.metadata),
	} {
		p.Set(name, value)
	}
	if a == v1 {
		p.Set("cluster", j.cluster) // the name that 1.x reads in some of its calls
	}
	return p
}

// acknowledged: "ok" says only that the service exists, anything else is a
// failure.
func acknowledged(n *node, version api, body []byte) error {
	text := strings.Trim(strings.TrimSpace(string(body)), `"`)
	if text == "ok" {
		return nil
	}
	if version != v3 {
		if data, err := parseResult(body); err == nil && strings.Trim(string(data), `"`) == "ok" {
			return nil // 2.x answers so where it was configured to
		}
	}
	return driver.Uncertain(fmt.Errorf("server %s answered %q instead of ok", n.name, reason(body)))
}

// verifyEvery is the pause between two looks at what was written.
const verifyEvery = 50 * time.Millisecond

// verify looks until the server lists every tuple as it was written.
func (t *Target) verify(ctx context.Context, work []job) error {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.timeout())
	defer cancel()
	var last error
	for {
		snaps, err := t.snapshots(ctx, servicesOf(work))
		if err == nil {
			err = shown(work, snaps)
		}
		if err == nil {
			t.done(work)
			return nil
		}
		if last == nil || !ending(ctx) {
			last = err // not the one that the deadline made
		}
		if perr := pause(ctx, verifyEvery); perr != nil {
			return driver.Uncertain(fmt.Errorf("looking at what was written: %w", last))
		}
	}
}

// done forgets what flip itself removed, and absences before the write.
func (t *Target) done(work []job) {
	for _, j := range work {
		if j.kind == deregister {
			t.forget(j.id())
		}
		t.absence(j.subject, true)
		t.mu.Lock()
		delete(t.absentees, j.subject)
		t.mu.Unlock()
	}
}

func shown(work []job, snaps map[service]snapshot) error {
	for _, j := range work {
		live, exists := snaps[j.service].instances[j.key]
		switch {
		case j.kind == deregister && !exists:
		case j.kind == deregister:
			return fmt.Errorf("%s is still registered", j.id())
		case !exists:
			return hint.Wrap(fmt.Errorf("the server took the write but lists no instance %s", j.id()), "its owner is gone, or registered elsewhere")
		default:
			if err := differs(j, live); err != nil {
				return err
			}
		}
	}
	return nil
}

func differs(j job, live instance) error {
	now, want := live.attrs(), j.want.attrs()
	for _, attr := range []string{Enabled, Weight} {
		if now[attr] != want[attr] {
			return hint.Wrap(fmt.Errorf("the server answered ok, but %s of %s is %s, not %s", attr, j.id(), now[attr], want[attr]),
				"its owner or somebody else registered or changed it at the same time")
		}
	}
	// The owner may add metadata meanwhile; none may be lost.
	for k, v := range j.want.metadata {
		if live.metadata[k] != v {
			return fmt.Errorf("metadata %s of %s is %q, not %q", k, j.id(), live.metadata[k], v)
		}
	}
	return nil
}

// baseline keeps which instances consumers saw before the write: a list that
// lacks one of them is truncated.
func (t *Target) baseline(snaps map[service]snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for svc, snap := range snaps {
		t.base[svc] = snap.enabled()
	}
}

// expected is the last baseline, nil when this process made none.
func (t *Target) expected(svc service) map[key]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.base[svc])
}

func (s snapshot) enabled() map[key]bool {
	on := map[key]bool{}
	for k, i := range s.instances {
		if i.enabled {
			on[k] = true
		}
	}
	return on
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}

var errDrift = errors.New("changed since")

// driftOf says which change no longer holds.
func driftOf(changes []state.Change, live map[string]state.Value) error {
	for _, c := range changes {
		if now := live[c.Attribute]; now != c.To {
			return fmt.Errorf("%s of %s is %s, not %s: %w", c.Attribute, c.Object, now, c.To, errDrift)
		}
	}
	return nil
}
