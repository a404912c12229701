# Needs Go and nothing else; benchstat and staticcheck are fetched as Go modules at the versions below.

GO          ?= go
DESTDIR     ?=
PREFIX      ?= /usr/local
FUZZTIME    ?= 5s
BENCH       ?= .
BENCHTIME   ?= 1s
COUNT       ?= 1
E2E         ?= ./scripts/e2e/...
SCALE_USERS ?= 10000000
PKG         ?= ./directory
N           ?= 50
SEED        ?= 1
CHAOS       ?= 5m
CHAOS_SEED  ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
SOAK        ?= 2h
ARCHS       ?= amd64 arm64
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT    = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# All build tags of ours; none of them leaves a file out, so to look at all files at once is enough.
TAGS = e2e,bench,scale

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
MACHINE := $(shell uname -n | tr -c 'A-Za-z0-9.\n' '-')

# What a build without git or without a tag calls itself is decided in the program.
LDFLAGS := $(if $(VERSION),-X main.version=$(VERSION))

.DEFAULT_GOAL := help
.PHONY: help build deb rpm image release run test race fuzz mutants bench bench-dovecot bench-mesh e2e chaos soak readme lint cover install \
 clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./bin/director
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/director ./cli/director

deb: ## build a package for Debian and Ubuntu into ./bin; GOARCH picks another processor
	@scripts/package deb

rpm: ## build a package for Fedora and its kin into ./bin; GOARCH picks another processor
	@scripts/package rpm

image: ## build a container's image into ./bin as an OCI archive; needs buildah
	@scripts/package image

release: ## build all packages for ARCHS (amd64 arm64), bills of materials and checksums into ./bin/release; the same source gives the same bytes
	@rm -rf bin/release
	@for arch in $(ARCHS); do GOARCH=$$arch OUT=bin/release scripts/package program deb rpm || exit 1; done
	@cd bin/release && sha256sum -- * >SHA256SUMS && cat SHA256SUMS

run: build ## three directors in one process with sample users; says what to try, and has a page
	@./bin/director dev

test: ## run the tests; needs nothing but Go
	$(GO) test ./...

# The guards are the core's, which has one goroutine: playing without them shows a race detector
# nothing.
race: ## run the tests with the race detector, the long ones shorter
	$(GO) test -race -short -timeout 20m -skip '^Test(Guards|TranscriptsUnguarded)$$' ./...

fuzz: ## fuzz each target for FUZZTIME (5s)
	@scripts/fuzz $(FUZZTIME)

mutants: ## break PKG (./directory) in N (50) places drawn by SEED, print what its tests miss
	@$(GO) run ./scripts/mutants -equivalent scripts/mutants/equivalent.txt -n $(N) -seed $(SEED) $(MUTANTS) $(PKG)

bench: ## run benchmarks into ./bench, compare with OLD=FILE; BENCH, BENCHTIME and COUNT choose
	@mkdir -p bench
	@file=bench/$(MACHINE)-$(COMMIT).txt; \
	 { echo "machine: $(MACHINE), $$(nproc) cores, $$(uname -srm)"; echo "commit: $(COMMIT)"; echo "go: $$($(GO) env GOVERSION)"; \
	   $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime $(BENCHTIME) -count $(COUNT) ./...; } >"$$file.part" \
	 || { cat "$$file.part"; rm -f "$$file.part"; exit 1; }; \
	 mv "$$file.part" "$$file"; cat "$$file"; echo "written to $$file"; \
	 if [ -n "$(OLD)" ]; then $(GO) run $(BENCHSTAT) "$(OLD)" "$$file"; fi

bench-dovecot: ## our director beside Dovecot's, same client and requests; needs root and Dovecot 2.3, takes nine minutes
	@mkdir -p bench
	@scripts/benchdovecot bench/$(MACHINE)-$(COMMIT)-dovecot.txt

bench-mesh: ## real directors with SCALE_USERS (10000000) users: joins, memory, flushes, latencies meanwhile; takes a quarter of an hour
	$(GO) run -tags scale ./scripts/scale -users $(SCALE_USERS) $(SCALE)

# Parallel tests mostly wait, so four at a time do not make each other slow; the ones that load the
# processors run alone, before them.
e2e: build ## tests with real processes on 127.0.0.x; E2E=./scripts/e2e leaves out those that need Dovecot and root
	DIRECTORMESH_BIN=$(CURDIR)/bin/director $(GO) test -tags e2e -count 1 -p 1 -parallel 4 -timeout 15m $(E2E)

# What is not there is left out, and said: hosts of their own and small disks need root.
chaos: build ## break five directors for CHAOS (5m) by the schedule of CHAOS_SEED (random), judge each answer
	DIRECTORMESH_BIN=$(CURDIR)/bin/director DIRECTORMESH_CHAOS=$(CHAOS) DIRECTORMESH_CHAOS_SEED=$(CHAOS_SEED) \
	 $(GO) test -tags e2e -count 1 -timeout 0 -run '^TestChaos$$' -v ./scripts/e2e

soak: build ## chaos and simulated schedules, new ones all the time, for SOAK (2h); sums up what there was
	@scripts/soak $(SOAK)

readme: build ## run the README's commands as they are written
	scripts/check-readme

lint: ## formatting, go vet, staticcheck, tidiness, 32 bits
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	 if [ -n "$$out" ]; then echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; fi
	$(GO) vet -tags $(TAGS) ./...
	GOARCH=386 CGO_ENABLED=0 $(GO) vet ./...
	$(GO) run $(STATICCHECK) -tags $(TAGS) ./...
	$(GO) mod tidy -diff

cover: ## test coverage per package, details in cover.out
	$(GO) test -coverprofile cover.out ./...
	@$(GO) tool cover -func cover.out | tail -n 1

# Installing is root's, building is not: root may have no Go, and should leave no files here.
install: ## install what "make build" has built to DESTDIR/PREFIX/bin (/usr/local/bin)
	@test -x bin/director || { echo 'there is no bin/director yet; run "make build" first' >&2; exit 1; }
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 bin/director '$(DESTDIR)$(PREFIX)/bin/director'

clean: ## remove what make has built (results in ./bench stay)
	rm -rf bin cover.out
