package httpdns_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
)

// An application asks its server by name; the name is looked up over HTTPDNS.
func Example() {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.Host[:len("www.example.com")])
	}))
	defer app.Close()
	service := httpdnstest.New(httpdnstest.Options{}) // stands for the provider's
	service.Answer("www.example.com", 300, "127.0.0.1")
	provider := httptest.NewServer(service)
	defer provider.Close()

	client, err := httpdns.New(httpdns.Options{
		// In production: {URL: "203.0.113.1", ServerName: "edge.wshttpdns.com"}, and a second one.
		Clusters: []httpdns.Cluster{{URL: provider.URL}},
		OnLookup: func(e httpdns.Event) {
			fmt.Printf("%s: asked %s, got %v, used %s, as client %s\n", e.Name, e.ServiceIP, e.IPs, e.Used, e.ClientIP)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	transport := &http.Transport{DialContext: client.DialContext}
	defer transport.CloseIdleConnections()
	at, _ := url.Parse(app.URL)
	resp, err := (&http.Client{Transport: transport}).Get("http://www.example.com:" + at.Port())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output:
	// www.example.com: asked 127.0.0.1, got [127.0.0.1], used 127.0.0.1, as client 127.0.0.1
	// hello from www.example.com
}
