package nacostest

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Write is an operator who knows nothing of consumers: one raw write of the
// whole tuple to a server of that generation (2 or 3), without a login.
func Write(ctx context.Context, server string, generation int, service string, i Instance) error {
	form, err := i.form(service)
	if err != nil {
		return err
	}
	path := "/nacos/v1/ns/instance"
	if generation >= 3 {
		path = "/nacos/v3/admin/ns/instance"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, server+path+"?"+form.Encode(), nil)
	if err != nil {
		return err
	}
	req.Close = true // nothing stays open when the test ends
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("PUT %s: %s: %s", path, resp.Status, body)
	}
	return nil
}
