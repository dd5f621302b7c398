package engine

import (
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/plan"
)

// announce tells drivers which objects the steps are about. A target that holds
// more than anybody lists, as a DNS zone does, reads only those. What is wrong
// with a name is said when the plan is bound.
func (p *Program) announce(steps []plan.Step) {
	for _, s := range steps {
		for _, sel := range selections(s) {
			l, ok := driver.As[driver.Locator](p.Targets[sel.Target])
			if !ok || len(sel.Object) == 0 {
				continue
			}
			if kind, name, err := p.objectName(sel); err == nil {
				_, _ = l.Locate(kind, name)
			}
		}
		p.announce(children(s))
	}
}

// announcePinned does so for what a run had pinned: its plan may have been changed
// since, and the way back is about all of it.
func (p *Program) announcePinned() {
	for target, pins := range p.Pins.Targets {
		l, ok := driver.As[driver.Locator](p.Targets[target])
		if !ok {
			continue
		}
		for _, o := range pins.Objects {
			if k, known := p.Infos[target].Kind(o.Kind); known && !k.Member {
				_, _ = l.Locate(o.Kind, o.Name)
			}
		}
	}
}
