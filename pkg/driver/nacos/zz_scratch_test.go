package nacos

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

func TestScratchIdle(t *testing.T) {
	r := nacostest.StartReal(t, "2.5.0")
	r.Own(t, "users", nacostest.Instance{Address: "10.0.0.1:1", Weight: 10})
	r.Own(t, "users", nacostest.Instance{Address: "10.0.0.2:1", Weight: 10})
	d, err := open(t.Context(), Config{Servers: Names{r.URL}, Service: Names{"users"}, ConsumerCache: "none"}, driver.Env{})
	if err != nil {
		t.Fatal(err)
	}
	tg := d.(*Target)
	_, err = tg.Read(t.Context())
	t.Log(err)
	tg.presubscribe(t.Context(), tg.services)
	begin := time.Now()
	for range 30 {
		time.Sleep(3 * time.Second)
		s, err := tg.Read(t.Context())
		for _, sub := range tg.subs {
			l, lerr := sub.look(tg.services[0])
			t.Log(time.Since(begin).Round(time.Second), len(s.Objects), err, "alive", sub.alive(), len(l), lerr)
		}
	}
	tg.Close()
}
