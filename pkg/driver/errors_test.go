package driver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

func TestMarksAreFoundAndLeaveTheTextAlone(t *testing.T) {
	tests := map[string]struct {
		mark func(error) error
		is   error
	}{
		"permanent": {driver.Permanent, driver.ErrPermanent},
		"uncertain": {driver.Uncertain, driver.ErrUnknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := fmt.Errorf("set weight: %w", test.mark(io.EOF))
			if !errors.Is(err, test.is) || !errors.Is(err, io.EOF) {
				t.Errorf("the mark or the error is lost: %v", err)
			}
			if err.Error() != "set weight: EOF" {
				t.Errorf("the text is %q", err)
			}
			if test.mark(nil) != nil {
				t.Error("a mark made an error")
			}
		})
	}
}

func TestDriftSaysWhatWasExpectedAndWhatIsThere(t *testing.T) {
	err := fmt.Errorf("apply web: %w", &driver.DriftError{
		Change: state.Change{Object: "lb1/web1", Attribute: "weight", From: "100", To: "0"}, Now: "37",
	})
	want := "apply web: lb1/web1 weight is 37, but was 100 when flip looked and 0 was to be set: somebody else changed it"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestAPartialErrorNamesNodesInOrder(t *testing.T) {
	err := error(&driver.PartialError{Nodes: map[string]error{"lb2": io.EOF, "lb1": context.DeadlineExceeded}})
	if diff := cmp.Diff("node lb1: context deadline exceeded; node lb2: EOF", err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if !errors.Is(err, io.EOF) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a node's error is lost")
	}
}
