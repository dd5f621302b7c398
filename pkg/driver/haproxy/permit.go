package haproxy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

const needAdmin = "put `level admin` on its `stats socket` line"

// Permit asks every node for the level of its socket: all that flip sets is
// for admins (management.txt 9.3, `show cli level`). A node that does not know
// the question is let pass; its first refusal will tell.
func (t *Target) Permit(ctx context.Context) error {
	return t.failure(at(t.nodes, func(n *node) error {
		answers, err := n.read(ctx, "show cli level")
		if _, ok := errors.AsType[*refused](err); ok {
			return nil
		}
		if err != nil {
			return err
		}
		if level := strings.TrimSpace(answers[0]); level == "operator" || level == "user" {
			return hint.Wrap(fmt.Errorf("%s: flip may look but not change anything: the socket's level is %s", n.endpoint, level), "%s", needAdmin)
		}
		return nil
	}))
}
