package journal

import (
	"context"
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// Store keeps runs. Its primitive is that slot N of a journal is written once:
// whoever writes second is told ErrFenced.
type Store interface {
	// Create begins the run id, with files (by plain name) beside its journal
	// that are durable before the first record can be written. It fails when
	// the disk is full, before anything else was done.
	Create(ctx context.Context, id string, files map[string][]byte) (Log, error)
	// Open opens a run for driving. A torn tail is repaired. It does not keep
	// anybody else from opening: locks do, and the next record decides.
	Open(ctx context.Context, id string) (Log, error)
	// View opens a run for reading. It writes nothing.
	View(ctx context.Context, id string) (View, error)
	// List returns the ids of all runs, the newest first.
	List(ctx context.Context) ([]string, error)
	// Dir is where the store keeps everything.
	Dir() string
}

// View reads a run that somebody may be driving. It is not safe for
// concurrent use.
type View interface {
	ID() string
	// Dir is where the run keeps its files.
	Dir() string
	// Records returns the chain as it was last read.
	Records() []Record
	// Looks returns the observations as they were last read.
	Looks() []Record
	// Refresh reads on and returns what is new, records and looks by time.
	Refresh(ctx context.Context) ([]Record, error)
}

// closest is how many runs a hint lists.
const closest = 5

// Resolve finds the run that ref means: an id, or the beginning or the end of
// one, in any case. No run wraps ErrNoRun; several are an error that lists
// them.
func Resolve(ctx context.Context, s Store, ref string) (string, error) {
	ids, err := s.List(ctx)
	if err != nil {
		return "", err
	}
	want := strings.ToUpper(strings.TrimSpace(ref))
	if want == "" {
		return "", fmt.Errorf("run: %w: the id is empty", ErrNoRun)
	}
	var found []string
	for _, id := range ids {
		if id == want {
			return id, nil
		}
		if strings.HasPrefix(id, want) || strings.HasSuffix(id, want) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", hint.Wrap(fmt.Errorf("run %s: %w", ref, ErrNoRun), "%s", known(ids, want))
	}
	return "", hint.Wrap(fmt.Errorf("run %s: %w", ref, ErrManyRuns), "say more of it: %s", some(found))
}

// known says which runs there are, those that share most of want first.
func known(ids []string, want string) string {
	if len(ids) == 0 {
		return "there are no runs yet"
	}
	for n := len(want) - 1; n >= closestPrefix; n-- {
		var near []string
		for _, id := range ids {
			if strings.HasPrefix(id, want[:n]) {
				near = append(near, id)
			}
		}
		if len(near) > 0 {
			return "close ones: " + some(near)
		}
	}
	return "the newest runs: " + some(ids) + " (flip list)"
}

// closestPrefix is the length of a common beginning that says anything: the
// first characters of a ULID are the same for years.
const closestPrefix = 5

func some(ids []string) string {
	if len(ids) <= closest {
		return strings.Join(ids, ", ")
	}
	return strings.Join(ids[:closest], ", ") + fmt.Sprintf(" and %d more", len(ids)-closest)
}
