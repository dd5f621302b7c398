// Package all lists the drivers that are built into flip.
package all

import (
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/alb"
	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/cloudflare"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nlb"
	"github.com/flip-cli/flip/pkg/driver/rfc2136"
	"github.com/flip-cli/flip/pkg/driver/slb"
)

// Drivers returns a registry of all built-in drivers.
func Drivers() *driver.Registry {
	return driver.NewRegistry(
		alb.Factory(), nlb.Factory(), slb.Factory(),
		haproxy.Factory(), mem.Factory(), nacos.Factory(), rfc2136.Factory(),
		adguard.Factory(), alidns.Factory(), cloudflare.Factory(),
	)
}
