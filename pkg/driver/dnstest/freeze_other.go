//go:build !unix

package dnstest

import "testing"

// Freeze needs signals.
func (s *Server) Freeze(t testing.TB) { t.Fatal("a process cannot be frozen here") }

// Thaw needs signals.
func (s *Server) Thaw(t testing.TB) { t.Fatal("a process cannot be frozen here") }
