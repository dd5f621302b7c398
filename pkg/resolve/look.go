package resolve

import (
	"context"
	"sync"
	"time"
)

// base is what every view has.
type base struct {
	name  string
	limit time.Duration // of one vantage
}

// vantage is one thing to ask in a look.
type vantage struct {
	name   string
	client string
	sample int
	ask    func(ctx context.Context) (Answer, error)
}

// look asks all vantages, a bounded number at a time, and returns their answers
// in the order of the vantages.
func (b base) look(ctx context.Context, all []vantage) []Answer {
	answers := make([]Answer, len(all))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, v := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i] = b.one(ctx, v)
		})
	}
	wg.Wait()
	return answers
}

// one asks one vantage.
func (b base) one(ctx context.Context, v vantage) Answer {
	start := time.Now()
	timed, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	a, err := v.ask(timed)
	if err != nil {
		a = unknown(ctx, b.limit, err)
	}
	a.View, a.Vantage, a.Sample = b.name, v.name, max(v.sample, 1)
	if a.Client == "" {
		a.Client = v.client
	}
	a.Latency, a.At = time.Since(start), time.Now().UTC()
	return a
}

// nobody is the answer of a view that found nobody to ask.
func (b base) nobody(ctx context.Context, vantage string, err error) []Answer {
	a := unknown(ctx, b.limit, err)
	a.View, a.Vantage, a.Sample, a.At = b.name, vantage, 1, time.Now().UTC()
	return []Answer{a}
}

// LookAll looks from several views at once and returns their answers in the
// order of the views.
func LookAll(ctx context.Context, views []View, q Question) []Answer {
	looks := make([][]Answer, len(views))
	var wg sync.WaitGroup
	for i, v := range views {
		wg.Go(func() { looks[i] = v.Look(ctx, q) })
	}
	wg.Wait()
	var all []Answer
	for _, answers := range looks {
		all = append(all, answers...)
	}
	return all
}
