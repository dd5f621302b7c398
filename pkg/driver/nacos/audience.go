package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
)

// subscriber is a consumer that a server pushes to.
type subscriber struct {
	agent string // "Nacos-Java-Client:v2.3.2"
	app   string
}

// subscriberApp is what flip calls its own subscriptions.
const subscriberApp = "flip"

// audienceTime bounds what a write waits for it.
const audienceTime = 2 * time.Second

// audience tells once for each service who hears of changes, and what speaks
// against relying on it. It decides nothing: whoever asks over HTTP only is not
// among them.
func (t *Target) audience(ctx context.Context, services []service) {
	ctx, cancel := context.WithTimeout(ctx, audienceTime)
	defer cancel()
	for _, svc := range services {
		t.mu.Lock()
		told := t.told[svc]
		t.told[svc] = true
		t.mu.Unlock()
		if told {
			continue
		}
		all, err := t.subscribers(ctx, svc)
		if err != nil {
			t.log.InfoContext(ctx, "cannot see who subscribes", "service", svc.String(), "err", err)
			continue
		}
		text := describe(svc, all)
		driver.Progress(ctx, text)
		t.log.InfoContext(ctx, "subscribers", "saw", text)
	}
}

// describe: clients before 2.0 get pushes over UDP, and nobody hears of one
// that is lost.
func describe(svc service, all []subscriber) string {
	agents := map[string]int{}
	others, old := 0, 0
	for _, s := range all {
		if s.app == subscriberApp {
			continue
		}
		others++
		agents[orElse(s.agent, "unknown")]++
		if _, version, ok := cutLast(s.agent, ":"); ok && (strings.HasPrefix(version, "v1.") || strings.HasPrefix(version, "v0.")) {
			old++
		}
	}
	if others == 0 {
		return fmt.Sprintf("nobody is subscribed to %s: consumers, if there are any, see a change when they ask next; is consumer_cache as long as that?", svc)
	}
	var kinds []string
	for _, a := range slices.Sorted(maps.Keys(agents)) {
		kinds = append(kinds, fmt.Sprintf("%d with %s", agents[a], a))
	}
	text := fmt.Sprintf("%d subscribed to %s: %s", others, svc, listing(kinds))
	if old > 0 {
		text += fmt.Sprintf("; %d of them are told over UDP, which may be lost, and ask by themselves every 10s: consumer_cache should not be shorter", old)
	}
	return text
}

// subscribers asks one server, which asks the others.
func (t *Target) subscribers(ctx context.Context, svc service) (all []subscriber, err error) {
	err = t.client.any(ctx, func(ctx context.Context, n *node) error {
		body, version, err := t.client.at(ctx, n, func(a api) call {
			c := call{method: http.MethodGet, path: "/v1/ns/service/subscribers", params: t.params(a, svc)}
			if a == v3 {
				c.path = "/v3/admin/ns/service/subscribers"
			}
			c.params.Set("serviceName", svc.name) // 2.x puts the group in front once more
			c.params.Set("pageNo", "1")
			c.params.Set("pageSize", "1000")
			return c
		})
		if err != nil {
			return err
		}
		all, err = parseSubscribers(body, version)
		return err
	})
	return all, err
}

// parseSubscribers reads {"subscribers":[...],"count":1} of 1.x and 2.x, and
// the page that is the data of 3.x.
func parseSubscribers(body []byte, version api) ([]subscriber, error) {
	type one struct {
		Agent   string `json:"agent"`
		App     string `json:"app"`
		AppName string `json:"appName"` // 3.x
	}
	var page struct {
		Subscribers *[]one `json:"subscribers"`
		Items       *[]one `json:"pageItems"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("subscribers: %w", err)
	}
	list := page.Subscribers
	if version == v3 {
		list = page.Items
	}
	if list == nil {
		return nil, errors.New("subscribers: the answer holds no list")
	}
	var all []subscriber
	for _, s := range *list {
		all = append(all, subscriber{s.Agent, orElse(s.App, s.AppName)})
	}
	return all, nil
}
