package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients/nacos_client"
	"github.com/nacos-group/nacos-sdk-go/v2/clients/naming_client"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/common/http_agent"
	"github.com/nacos-group/nacos-sdk-go/v2/common/logger"
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// Config is the argument of consume, as JSON.
type Config struct {
	Host, Namespace, Service string
	Port, GRPCPort           uint64
	Dir                      string        // of the client's files
	Callers                  int           // of each consumer
	Pause                    time.Duration // between the calls of one caller
	Cache                    time.Duration // how old the list of the second consumer becomes
}

// consume calls the instances of a service without pause. The consumer "push"
// asks the vendor's subscribed client for the instances before every call; the
// consumer "cache" fetches the list over HTTP and uses it until it is older than
// Cache. Every line of in is answered with a line of counts.
func consume(text string, in io.Reader, out io.Writer) error {
	var c Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	push, end, err := subscribe(c)
	if err != nil {
		return err
	}
	defer end()
	cache, stop, err := cached(c)
	if err != nil {
		return err
	}
	defer stop()
	load := &load{counts: map[string]*Counts{}, stop: make(chan struct{})}
	for name, list := range map[string]func() []string{"push": push, "cache": cache} {
		load.counts[name] = &Counts{Servers: map[string]int{}}
		for n := range c.Callers {
			load.callers.Go(func() { load.call(name, list, n, c.Pause) })
		}
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := json.NewEncoder(out).Encode(load.now()); err != nil {
			break
		}
	}
	close(load.stop)
	load.callers.Wait()
	return nil
}

// subscribe is the vendor's client as an application uses it. end leaves
// goroutines of it behind, which end with this process.
func subscribe(c Config) (list func() []string, end func(), err error) {
	logger.SetLogger(silent{})
	nc := &nacos_client.NacosClient{}
	if err := nc.SetClientConfig(constant.ClientConfig{
		NamespaceId: c.Namespace, TimeoutMs: 3000, NotLoadCacheAtStart: true, UpdateCacheWhenEmpty: true, CacheDir: c.Dir, LogDir: c.Dir,
	}); err != nil {
		return nil, nil, err
	}
	if err := nc.SetServerConfig([]constant.ServerConfig{{Scheme: "http", IpAddr: c.Host, Port: c.Port, GrpcPort: c.GRPCPort, ContextPath: "/nacos"}}); err != nil {
		return nil, nil, err
	}
	if err := nc.SetHttpAgent(&http_agent.HttpAgent{}); err != nil {
		return nil, nil, err
	}
	client, err := naming_client.NewNamingClient(nc)
	if err != nil {
		return nil, nil, err
	}
	ready := make(chan struct{}, 1)
	sub := &vo.SubscribeParam{ServiceName: c.Service, SubscribeCallback: func([]model.Instance, error) {
		select {
		case ready <- struct{}{}:
		default:
		}
	}}
	if err := client.Subscribe(sub); err != nil {
		return nil, nil, fmt.Errorf("subscribe: %w", err)
	}
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		return nil, nil, errors.New("subscribe: no instances")
	}
	return func() []string {
		all, err := client.SelectInstances(vo.SelectInstancesParam{ServiceName: c.Service, HealthyOnly: true})
		if err != nil {
			return nil
		}
		var addresses []string
		for _, i := range all {
			addresses = append(addresses, net.JoinHostPort(i.Ip, strconv.FormatUint(i.Port, 10)))
		}
		return addresses
	}, client.CloseClient, nil
}

type silent struct{}

func (silent) Info(...any)           {}
func (silent) Warn(...any)           {}
func (silent) Error(...any)          {}
func (silent) Debug(...any)          {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Debugf(string, ...any) {}
func (silent) Close() error          { return nil }

// cached fetches the list every c.Cache and never in between.
func cached(c Config) (list func() []string, stop func(), err error) {
	var mu sync.Mutex
	var now []string
	fetch := func() error {
		addresses, err := fetchList(c)
		if err == nil {
			mu.Lock()
			now = addresses
			mu.Unlock()
		}
		return err
	}
	if err := fetch(); err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		tick := time.NewTicker(c.Cache)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = fetch() // it goes on with the list that it has
			}
		}
	})
	return func() []string {
			mu.Lock()
			defer mu.Unlock()
			return now
		}, func() {
			close(done)
			loop.Wait()
		}, nil
}

func fetchList(c Config) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	query := url.Values{"serviceName": {"DEFAULT_GROUP@@" + c.Service}, "namespaceId": {c.Namespace}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/nacos/v1/ns/instance/list?%s", c.Host, c.Port, query.Encode()), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Hosts []struct {
			IP      string  `json:"ip"`
			Port    int     `json:"port"`
			Healthy bool    `json:"healthy"`
			Enabled bool    `json:"enabled"`
			Weight  float64 `json:"weight"`
		} `json:"hosts"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	var addresses []string
	for _, h := range answer.Hosts {
		if h.Enabled && h.Healthy && h.Weight > 0 {
			addresses = append(addresses, net.JoinHostPort(h.IP, strconv.Itoa(h.Port)))
		}
	}
	return addresses, nil
}
