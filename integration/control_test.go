package integration

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
)

// rightOrder takes b in and a out by hand; flip must do the same. limit is how long the drain may wait for clients that
// will not go by themselves.
func rightOrder(limit time.Duration) func(*rig) {
	return func(r *rig) {
		r.Helper()
		r.raiseB()
		r.command("set server be/a state drain")
		r.closeWebsockets()
		r.zero("a", limit)
		r.command("set server be/a state maint") // ends the persistence of pinned clients, which drain does not
		if !r.zero("a", 10*time.Second) {
			r.Fatalf("a still has sessions in maint: %+v", r.stat("a"))
		}
		r.killA()
	}
}

func TestTheRightOrderLosesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		scene scene
		limit time.Duration
	}{
		{"with clients that go where they are sent", scene{}, 5 * time.Second},
		{"with a new release that takes a second to warm up", scene{warmUp: time.Second}, 5 * time.Second},
		{"with clients pinned to the old release by a cookie", scene{cookie: true}, time.Second},
		{"with websockets that the old release closes", scene{websockets: 6}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result := tt.scene.run(t, rightOrder(tt.limit))
			if result.Lost() != 0 {
				t.Errorf("lost %d:\n%s", result.Lost(), result)
			}
			if from := result.Phase("after").Servers; from["a"] != 0 || from["b"] == 0 {
				t.Errorf("after the switch the answers come from %v, want b alone", from)
			}
			if ws := result.Total().Websockets; ws.Closed != int64(tt.scene.websockets) {
				t.Errorf("%d websockets were closed by a frame, want %d", ws.Closed, tt.scene.websockets)
			}
			t.Logf("\n%s", result)
		})
	}
}

// TestTheWrongOrderIsSeen proves that the harness can see a loss: each of these orders is known to lose requests, and a
// zero here would make every other zero worthless. Chance may spare one run, so there are three.
func TestTheWrongOrderIsSeen(t *testing.T) {
	t.Parallel()
	const attempts = 3
	for _, tt := range []struct {
		name  string
		scene scene
		move  func(*rig)
		lost  func(traffic.Result) int64
	}{
		{"the old release is killed without a drain", scene{}, killWithoutDrain, failed},
		{"the old release is killed right after maint", scene{}, killAfterMaint, failed},
		{"a warming release is gated on its operational state", scene{warmUp: 5 * time.Second}, gateOnOpState, failed},
		{"a drain of pinned clients ends at its first zero", scene{cookie: true, load: sparse}, killAtFirstZero, failed},
		{"pinned clients are drained but not put into maint", scene{cookie: true}, killWithoutMaint, failed},
		{"the old release is drained before the new one serves", scene{}, drainFirst, failed},
		{"websockets are cut at the drain's deadline", scene{websockets: 6}, killWebsockets, cut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for attempt := 1; ; attempt++ {
				result := tt.scene.run(t, tt.move)
				t.Logf("attempt %d\n%s", attempt, result)
				if before := result.Phase("start"); before.Failed+before.Websockets.Cut > 0 {
					t.Fatalf("%d lost before the move: the setting itself is broken", before.Failed+before.Websockets.Cut)
				}
				if tt.lost(result) > 0 {
					return
				}
				if attempt == attempts {
					t.Fatalf("nothing was lost in %d runs of an order that loses requests: this harness cannot fail", attempts)
				}
			}
		})
	}
}

func failed(r traffic.Result) int64 { return r.Total().Failed }

func cut(r traffic.Result) int64 { return r.Total().Websockets.Cut }

// sparse leaves moments in which no request is in flight, so that a single sample can be zero.
func sparse(c *traffic.Config) { c.Close, c.Post, c.Slow, c.Pause = 0, 0, 0, 10*time.Millisecond }

func killWithoutDrain(r *rig) {
	r.raiseB()
	r.killA()
}

func killAfterMaint(r *rig) {
	r.raiseB()
	r.command("set server be/a state maint")
	r.killA()
}

func gateOnOpState(r *rig) {
	r.startB()
	r.command("set server be/b state ready")
	r.until("op_state of b", func() error { return is(r.opState("b"), "2") })
	r.command("set server be/a state drain")
	r.zero("a", 5*time.Second)
	r.killA()
}

func killAtFirstZero(r *rig) {
	r.raiseB()
	r.command("set server be/a state drain")
	r.until("one zero", func() error { return is(r.stat("a").current, "0") })
	r.killA()
}

func killWithoutMaint(r *rig) {
	r.raiseB()
	r.command("set server be/a state drain")
	if r.zero("a", time.Second) {
		r.Error("pinned clients left a server in drain: this HAProxy does not keep them, or the clients have no cookie")
	}
	r.killA()
}

func drainFirst(r *rig) {
	r.command("set server be/a state drain")
	r.zero("a", 5*time.Second)
	r.raiseB()
	r.killA()
}

func killWebsockets(r *rig) {
	r.raiseB()
	r.command("set server be/a state drain")
	if r.zero("a", time.Second) {
		r.Error("the websockets left by themselves: there was nothing to cut")
	}
	r.killA()
}
