// Package all lists the drivers that are built into flip.
package all

import (
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/driver/nacos"
)

// Drivers returns a registry of all built-in drivers.
func Drivers() *driver.Registry {
	return driver.NewRegistry(haproxy.Factory(), mem.Factory(), nacos.Factory())
}
