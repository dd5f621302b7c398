package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// The files beside a journal.
const (
	planFile = "plan.yaml"
	varsFile = "vars.yaml"
	lockFile = "plan.lock.json"
)

// saved is the resolved plan: all that a later process needs.
type saved struct {
	File string `json:"file"`
	Path string `json:"path,omitempty"` // absolute, to see that it was edited
	Pins Pins   `json:"pins"`
}

func (r *Runner) create(ctx context.Context, id string, b *Bound) (journal.Log, error) {
	path, err := filepath.Abs(b.Plan.File)
	if err != nil {
		return nil, err
	}
	pins, err := json.Marshal(saved{File: b.Plan.File, Path: path, Pins: b.Pins})
	if err != nil {
		return nil, err
	}
	vars, err := json.Marshal(varTexts(b.Plan.Vars)) // JSON is YAML
	if err != nil {
		return nil, err
	}
	return r.Store.Create(ctx, id, map[string][]byte{planFile: b.Plan.Source, varsFile: vars, lockFile: pins})
}

// varTexts are variables as a variable file holds them.
func varTexts(vars map[string]any) map[string]any {
	out := maps.Clone(vars)
	for name, v := range vars {
		if d, ok := v.(time.Duration); ok {
			out[name] = d.String()
		}
	}
	return out
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// copyOf reads a run's own copy of its plan, file by name.
func copyOf(dir, file string) (plan.Plan, saved, error) {
	var sv saved
	raw, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err == nil {
		err = json.Unmarshal(raw, &sv)
	}
	if err != nil {
		return plan.Plan{}, sv, fmt.Errorf("the run's plan: %s: %w", lockFile, err)
	}
	source, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return plan.Plan{}, sv, fmt.Errorf("the run's plan: %w", err)
	}
	p, err := plan.Load(source, plan.Options{File: sv.File, VarFiles: []string{filepath.Join(dir, varsFile)}})
	if err != nil {
		return p, sv, fmt.Errorf("the run's plan: %w", err)
	}
	return p, sv, nil
}

// Reload opens the plan that a run follows, from the run's own copy and with
// the objects that were pinned when it began.
func (r *Runner) Reload(ctx context.Context, dir string, st journal.Status) (*Program, error) {
	if r.Sim.Program != nil {
		return r.Sim.Program, nil
	}
	p, sv, err := copyOf(dir, orElse(st.Holder.Plan, planFile))
	if err != nil {
		return nil, err
	}
	prog, err := Open(ctx, p, r.World)
	if err != nil {
		return nil, err
	}
	prog.Pins = sv.Pins
	prog.announcePinned()
	prog.regrouped()
	return prog, nil
}
