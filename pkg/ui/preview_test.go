package ui_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/ui"
)

func preview() ui.Preview {
	return ui.Preview{
		Plan: "shop-web", File: "release.yaml", Live: "blue", Idle: "green",
		LiveMembers: []string{"web1", "web2"}, IdleMembers: []string{"web3", "web4"},
		Steps: []ui.PreviewStep{
			{ID: "install", What: "run ./deploy.sh v42 10.0.0.13 10.0.0.14", Serving: "web 2/4 (min 2)", Time: "up to 15m"},
			{ID: "healthy", What: "gate up: http 10.0.0.13, 10.0.0.14", Serving: "web 2/4", Time: "3 passes, up to 2m"},
			{ID: "shift", What: "ramp blue -> green 5, 25, 50, 100 %", Serving: "web 4/4", Time: "4m holds + gate errors", Lines: []string{
				"web1  weight  100 -> 95 -> 75 -> 50 -> 0", "web3  weight    0 ->  5 -> 25 -> 50 -> 100",
			}},
			{ID: "old", What: "2 steps at once"},
			{ID: "drain-old", Depth: 1, What: "drain blue to 0 sessions (now 214)", Serving: "web 2/4", Time: "up to 10m, then continue"},
		},
		Changes: 8, Targets: 1, Nodes: 2, Shortest: 260 * time.Second, Longest: 32 * time.Minute,
		WayBack:    "8 changes, about 1 s, then ./deploy.sh --previous.",
		Warnings:   []string{`step "install" has no way back: give it an undo, or undo: none`},
		RunCommand: "flip run release.yaml --var version=v42",
	}
}

func TestAPreviewFitsItsWidth(t *testing.T) {
	for _, columns := range []int{0, 60, 80, 120} {
		o := options()
		o.Width = columns
		got := render(t, func(b *bytes.Buffer) error { return ui.WritePreview(b, preview(), o) })
		golden(t, fmt.Sprintf("preview-%d.txt", columns), got)
		if columns > 0 {
			fits(t, columns, got)
		}
	}
	golden(t, "preview.json", render(t, func(b *bytes.Buffer) error { return ui.WritePreviewJSON(b, preview()) }))
}

func TestAPlanThatChangesNothingSaysSo(t *testing.T) {
	got := render(t, func(b *bytes.Buffer) error { return ui.WritePreview(b, ui.Preview{Plan: "idle"}, options()) })
	golden(t, "preview-empty.txt", got)
}

func FuzzNoPreviewBreaksTheTable(f *testing.F) {
	f.Add("install", "run ./deploy.sh", "web 2/4", "up to 15m", "web1  weight  0 -> 1", 80, 1)
	f.Add("用户发布", "发布到空闲侧", "\x1b[2J", "", "\n", 21, 100)
	f.Fuzz(func(t *testing.T, id, what, serving, time, line string, columns, depth int) {
		o := options()
		o.Width = columns % 400
		p := ui.Preview{Plan: id, Live: what, Steps: []ui.PreviewStep{{ID: id, What: what, Serving: serving, Time: time, Lines: []string{line}, Depth: depth}}}
		var b bytes.Buffer
		if err := ui.WritePreview(&b, p, o); err != nil {
			t.Fatal(err)
		}
	})
}
