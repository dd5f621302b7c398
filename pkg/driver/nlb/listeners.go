package nlb

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/state"
)

// health asks the listeners that use a group.
type health struct {
	api aliyun.NLB

	mu    sync.Mutex
	users []string // listeners of the group
	at    time.Time
}

// fresh is how long the users of a group are taken for true.
const fresh = 30 * time.Second

func (h *health) look(ctx context.Context, g aliyun.ServerGroup) ([]aliyun.GroupHealth, error) {
	h.mu.Lock()
	users, at := h.users, h.at
	h.mu.Unlock()
	if at.IsZero() || time.Since(at) > fresh {
		all, err := h.api.Listeners(ctx, g.Balancers)
		if err != nil {
			return nil, err
		}
		users = nil
		for _, l := range all {
			if l.Group == g.ID {
				users = append(users, l.ID)
			}
		}
		h.mu.Lock()
		h.users, h.at = users, time.Now()
		h.mu.Unlock()
	}
	var said []aliyun.GroupHealth
	for _, id := range users {
		one, err := h.api.Health(ctx, id)
		if err != nil {
			return nil, err
		}
		said = append(said, one...)
	}
	return said, nil
}

// listeners are those whose group flip may switch.
type listeners struct {
	api aliyun.NLB
	cfg Config
}

// IDs are those that the plan names.
func (l *listeners) IDs() map[string]state.Object {
	ids := map[string]state.Object{}
	for _, id := range l.cfg.Listeners {
		ids["listener/"+id] = state.Object{Kind: KindListener, Name: id}
	}
	return ids
}

// Read asks for each listener.
func (l *listeners) Read(ctx context.Context) (map[string]pool.Bound, error) {
	bound := map[string]pool.Bound{}
	for _, id := range l.cfg.Listeners {
		one, err := l.api.Listener(ctx, id)
		if err != nil {
			return nil, err
		}
		bound["listener/"+id] = pool.Bound{ID: "listener/" + id, Kind: KindListener, Name: id, Attr: Group, Value: state.Text(one.Group), Ref: one}
	}
	return bound, nil
}

// Refuse looks at the group that the listener would get.
func (l *listeners) Refuse(ctx context.Context, b pool.Bound, to state.Value) error {
	if err := pool.Owned("listener "+b.Name, b.Ref.(aliyun.Listener).Owner, l.cfg.Force); err != nil {
		return err
	}
	return pool.Serves(ctx, l.api, to.Text())
}

// Write begins the switch and waits for its job.
func (l *listeners) Write(ctx context.Context, b pool.Bound, to state.Value, token string) error {
	job, err := l.api.SwitchListener(ctx, b.Name, to.Text(), token)
	if err != nil {
		return err
	}
	return pool.Await(ctx, job, l.cfg.SettleFor(), l.api.Job)
}

// Settled: the listener is not being configured, and a weighted server of its
// group is healthy or not checked.
func (l *listeners) Settled(ctx context.Context, b pool.Bound) error {
	one := b.Ref.(aliyun.Listener)
	if one.Status != "" && !strings.EqualFold(one.Status, "running") {
		return fmt.Errorf("listener %s is %s", one.ID, one.Status)
	}
	g, err := pool.One(ctx, l.api, one.Group)
	if err != nil || !g.Checked {
		return err
	}
	servers, err := l.api.Servers(ctx, one.Group)
	if err != nil {
		return err
	}
	said, err := l.api.Health(ctx, one.ID)
	if err != nil {
		return err
	}
	detail := "no server has a weight"
	for _, s := range servers {
		if s.Weight == 0 {
			continue
		}
		c := aliyun.CheckIn(said, one.Group, s)
		if c.State == aliyun.Good || c.State == aliyun.Unchecked {
			return nil
		}
		detail = s.ServerID + " is " + c.Detail
	}
	return fmt.Errorf("no server of %s is healthy yet: %s", one.Group, detail)
}
