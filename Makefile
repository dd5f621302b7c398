# flip: what can be made here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Debian keeps haproxy where not every PATH looks.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/flip-cli/flip/cmd.version=$(VERSION)
TOOL     := go tool -modfile=scripts/tools.mod
# Packages tested at once. The tests put load through real servers; more than
# two at once disturb each other on small machines.
P        ?= 2
# Parallel tests of one package: the proofs put load on real servers, which has
# to be answered in time. SIDE=6 is faster where there are more processors.
SIDE     ?= 2
FUZZTIME ?= 10s
# More flags for go test: TESTFLAGS='-count=1 -v'.
TESTFLAGS ?=

.PHONY: help build demo ab test lint fix bench soak nacos cover fuzz docs vuln clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/flip
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/flip .

demo: ## Release behind a real HAProxy, under load, then undo it (JSON=1 for JSON)
	@scripts/deps haproxy
	go run ./scripts/demo $(if $(JSON),-json)

ab: ## Release over SLB, ALB and Nacos (official server) under load (JSON=1, NACOS=stand-in)
	@scripts/deps haproxy javac mvn
	go run ./scripts/ab $(if $(JSON),-json) $(if $(NACOS),-nacos $(NACOS))

test: ## Run every test with the race detector; installs missing servers first
	@scripts/deps
	go vet ./...
	go test -race -timeout 60m -p $(P) -parallel $(SIDE) $(TESTFLAGS) ./...

lint: ## Format, vet and lint (the first call builds golangci-lint: minutes)
	@scripts/lint

fix: ## Format, and mend what the linters can mend
	@scripts/lint --fix

bench: ## Run the benchmarks
	@scripts/deps haproxy
	go run ./scripts/bench

soak: ## Run the integration tests in their long form (up to 80 minutes)
	@scripts/deps
	FLIP_SOAK=1 go test -count=1 -timeout 80m -parallel $(SIDE) -v $(TESTFLAGS) ./integration/...

nacos: ## Run the Nacos tests against the official servers too (fetches them once)
	@scripts/deps haproxy javac mvn
	FLIP_NACOS=real go test -count=1 -timeout 30m -p 2 -parallel 2 -v $(TESTFLAGS) ./pkg/driver/nacos/...
	FLIP_NACOS=real go test -count=1 -timeout 30m -parallel 6 -run Official -v $(TESTFLAGS) ./integration

cover: ## Coverage by package, and coverage.out for `go tool cover`
	@scripts/deps
	go test -timeout 40m -p $(P) -parallel $(SIDE) -coverprofile=coverage.out ./cmd/... ./pkg/...
	@go tool cover -func=coverage.out | tail -n 1

fuzz: ## Fuzz every target for FUZZTIME (10s)
	@scripts/fuzz $(FUZZTIME)

docs: ## Write docs/drivers.md and docs/gates.md from the code
	go run ./scripts/docs

vuln: ## Look for known vulnerabilities (needs the vulnerability database)
	$(TOOL) govulncheck ./...

clean: ## Remove what was built
	rm -rf bin coverage.out .cache
