package nacos

import (
	"context"
	"sync"

	"github.com/flip-cli/flip/pkg/hint"
)

// subscribed is a live subscription of a server to a service, made anew when
// the connection ended. What an older connection had shown counts no more.
func (t *Target) subscribed(ctx context.Context, n *node, svc service) (*subscription, error) {
	t.mu.Lock()
	s := t.subs[n]
	t.mu.Unlock()
	if s != nil && !s.alive() {
		t.log.WarnContext(ctx, "the subscription ended; subscribing again", "server", n.name, "err", s.err)
		t.drop(n, s)
		s = nil
	}
	if s == nil {
		fresh, err := t.dial(ctx, n)
		if err != nil {
			return nil, hint.Wrap(err, "consumers need this port too; `subscribe: false` asks over HTTP only, and says nothing about what is pushed")
		}
		t.mu.Lock()
		if s = t.subs[n]; s == nil {
			t.subs[n], s = fresh, fresh
		}
		t.mu.Unlock()
		if s != fresh {
			fresh.close()
		}
	}
	return s, s.subscribe(ctx, svc)
}

func (t *Target) drop(n *node, s *subscription) {
	t.mu.Lock()
	if t.subs[n] == s {
		delete(t.subs, n)
	}
	t.mu.Unlock()
	s.close()
}

// pushes reports whether subscribing makes sense: 1.x pushes over UDP to a
// port of the consumer, which flip does not open.
func (t *Target) pushes() bool { return t.cfg.subscribes() && t.client.known() != v1 }

// presubscribe subscribes before a write, so that the push is seen and not
// only an answer. Where it fails Settle tries again and says why: a way back
// must not depend on it.
func (t *Target) presubscribe(ctx context.Context, services []service) {
	if !t.pushes() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.timeout())
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range t.client.nodes {
		wg.Go(func() {
			for _, svc := range services {
				if _, err := t.subscribed(ctx, n, svc); err != nil {
					t.log.WarnContext(ctx, "no subscription yet", "server", n.name, "err", err)
					return
				}
			}
		})
	}
	wg.Wait()
}
