package nacos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// api is a family of versions that are spoken to alike.
type api int32

const (
	v1 api = 1 + iota // Nacos 1.x: v1 API, PATCH merges
	v2                // Nacos 2.x: v1 API, PUT replaces an overlay
	v3                // Nacos 3.x: v3 admin API, PUT replaces an overlay
)

func (a api) String() string { return [...]string{"unknown", "1.x", "2.x", "3.x"}[a] }

// version finds out once which API the servers have. Neither question needs a
// login.
func (c *client) version(ctx context.Context, n *node) (api, error) {
	if known := api(c.api.Load()); known != 0 {
		return known, nil
	}
	found, text, err := c.detect(ctx, n)
	if err != nil {
		return 0, fmt.Errorf("find out the version: %w", err)
	}
	if c.api.CompareAndSwap(0, int32(found)) {
		c.log.InfoContext(ctx, "nacos version", "server", n.name, "version", text, "api", found.String())
	}
	return api(c.api.Load()), nil
}

// detect asks what a 3.x answers, then what the older ones do. A server that
// has neither (other implementations) gets the API of 2.x, the widest known,
// unless it is one that flip is known not to work with.
func (c *client) detect(ctx context.Context, n *node) (api, string, error) {
	body, err := c.send(ctx, n, call{method: http.MethodGet, path: "/v3/admin/core/state"}, "")
	switch {
	case err == nil:
		return v3, versionOf(body), nil
	case isStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return v3, "", nil // it exists
	case !unknownPath(err):
		return 0, "", err
	}
	body, err = c.send(ctx, n, call{method: http.MethodGet, path: "/v1/console/server/state"}, "")
	switch {
	case isStatus(err, http.StatusGone):
		return v3, "", nil
	case unknownPath(err) && c.isRNacos(ctx, n):
		return 0, "", driver.Permanent(hint.Wrap(fmt.Errorf("server %s is r-nacos, which lists no disabled instances to operators: flip could not see what it did", n.name),
			"flip works with Nacos 1.x, 2.x and 3.x"))
	case unknownPath(err), isStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return v2, "unknown", nil
	case err != nil:
		return 0, "", err
	}
	version := versionOf(body)
	switch {
	case strings.HasPrefix(version, "0."), strings.HasPrefix(version, "1."):
		return v1, version, nil
	case strings.HasPrefix(version, "2."), version == "":
		return v2, version, nil
	case strings.HasPrefix(version, "3."):
		return v3, version, nil
	}
	return 0, "", hint.Wrap(fmt.Errorf("server %s is version %q", n.name, version), "flip knows Nacos 1.x, 2.x and 3.x")
}

// isRNacos asks for the console of r-nacos, or the page that says that it is
// elsewhere: one of them is always there (0.8.8).
func (c *client) isRNacos(ctx context.Context, n *node) bool {
	page, err := c.send(ctx, &node{name: n.name, base: n.origin}, call{method: http.MethodGet, path: "/rnacos/"}, "")
	return err == nil && strings.Contains(strings.ToLower(string(page)), "nacos")
}

// unknownPath: what servers answer where there is no such API. 501 is the
// answer of naming's own filter.
func unknownPath(err error) bool {
	return isStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented)
}

// versionOf reads {"version":"2.2.3"}, which 3.x may wrap as the data of a
// result. It is empty where there is none.
func versionOf(body []byte) string {
	var state struct {
		Version string `json:"version"`
		Data    struct {
			Version string `json:"version"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &state) // other implementations answer anything
	return orElse(state.Version, state.Data.Version)
}
