package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// logWindow is how long a log is watched where the plan is silent.
const logWindow = time.Minute

// LogConfig is the configuration of the log gate.
type LogConfig struct {
	Path   string        `yaml:"path"`   // a log file on this machine; rotation is followed
	Match  string        `yaml:"match"`  // regular expression of the lines that count; all lines when left out
	Not    string        `yaml:"not"`    // regular expression of lines that do not count after all, such as health checks
	Window time.Duration `yaml:"window"` // the time that is looked at; 1m when left out
	Max    int           `yaml:"max"`    // lines that may count in it; 0 when left out
}

// Validate says what is wrong with c.
func (c *LogConfig) Validate() error {
	switch {
	case c.Path == "":
		return hint.Wrap(errors.New("path is missing"), "path: /var/log/nginx/access.log")
	case c.Window < 0, c.Max < 0:
		return errors.New("window and max cannot be negative")
	}
	for key, source := range map[string]string{"match": c.Match, "not": c.Not} {
		if _, err := regexp.Compile(source); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// Log is the gate over the tail of a log, such as the access log of a server
// that nobody should use any more: it passes when at most max matching lines
// were written within the window. It counts from its first look on and is
// undecided until it has seen a whole window; more than max lines are a no at
// once. A file that is not there, or cannot be read, could not be looked at.
func Log() Kind {
	return Define("log", "At most so many matching lines were written to a log within a time", func(c LogConfig, env Env) (Gate, error) {
		g := &logGate{LogConfig: c, env: env, tail: tailFile(c.Path)}
		g.Window = cmp.Or(c.Window, logWindow)
		g.match, g.not = regexp.MustCompile(c.Match), nil // Validate has seen both
		if c.Not != "" {
			g.not = regexp.MustCompile(c.Not)
		}
		return g, nil
	})
}

type logGate struct {
	LogConfig
	env        Env
	match, not *regexp.Regexp
	tail       *fileTail

	since time.Time   // nothing was missed since then
	hits  []time.Time // when lines that count were seen, oldest first
	last  string      // the newest of them
}

// Earliest is a whole window.
func (g *logGate) Earliest(every time.Duration) time.Duration { return looksUntil(g.Window, every) }

// Check reads what was written since the last look.
func (g *logGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx, time.Now())
	return g.env.clean(res, err)
}

// Close releases the log.
func (g *logGate) Close() error {
	g.tail.close()
	return nil
}

func (g *logGate) look(ctx context.Context, now time.Time) (Result, error) {
	// A line counts from the moment it is seen: later than it was written, so
	// it stays in the window for longer and never for less.
	news, err := g.tail.read(ctx, g.Window, now, func(line []byte) {
		if g.match.Match(line) && (g.not == nil || !g.not.Match(line)) {
			g.hit(now, string(line[:min(len(line), mostExplain)]))
		}
	})
	if err != nil {
		return Result{}, err
	}
	if g.since.IsZero() || news.lost {
		g.since = now
	}
	g.forget(now)
	return g.judge(now, news), nil
}

// hit keeps no more than decides: one above max.
func (g *logGate) hit(now time.Time, line string) {
	g.hits = append(g.hits, now)
	if len(g.hits) > g.Max+1 {
		g.hits = g.hits[1:]
	}
	g.last = line
}

func (g *logGate) forget(now time.Time) {
	for len(g.hits) > 0 && now.Sub(g.hits[0]) >= g.Window {
		g.hits = g.hits[1:]
	}
}

func (g *logGate) judge(now time.Time, news tailNews) Result {
	if n := len(g.hits); n > g.Max {
		last := g.hits[n-1]
		return no("more than %s in %s, the last %s ago: %s", plural(g.Max, "line"), brief(g.Window), brief(now.Sub(last)), excerpt(g.last, 100))
	}
	seen := plural(len(g.hits), "line")
	switch left := g.Window - now.Sub(g.since); {
	case news.behind > 0:
		return undecided("%s so far; %d MiB of the log are still to be read", seen, news.behind>>20+1)
	case news.lost:
		return undecided("%s so far; the log was cut while flip watched, counting anew", seen)
	case left > 0:
		return undecided("%s so far, %s more to look at", seen, brief(left))
	}
	return yes("%s in %s", seen, brief(g.Window))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
