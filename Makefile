# gilt: the index of habits. `make` alone lists the targets.

GO        ?= go
BIN       := bin
LINT_VERSION := v2.15.0
SBOM_VERSION := v1.10.0
FUZZTIME  ?= 30s
LINT      := $(BIN)/golangci-lint-$(LINT_VERSION)
PACKAGES  := ./...
# Installations that make test-matrix looks through for libpython: directories that hold bin/python3.
PYTHONS   ?= $(wildcard $(HOME)/.pyenv/versions/3.* /usr /usr/local /opt/python*)

.DEFAULT_GOAL := help
.PHONY: help build run test test-matrix test-asan lint bench stress fuzz sbom clean unpack

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/gilt, the command line
	$(GO) build -o $(BIN)/gilt ./cmd/gilt

run: ## The main job: statistics of Python's standard library, in parallel, to codestats.jsonl
	$(GO) run ./examples/codestats

unpack: # unpacks the bundled CPython once: some 2 s here, 30 s under the race detector
	@$(GO) run ./cmd/gilt doctor >/dev/null

test: unpack ## The tests, race detector on
	$(GO) test -race -timeout 20m $(PACKAGES)

test-matrix: build ## The tests on every libpython found, 3.10 to 3.14; names those it could not find
	@GILT=$(BIN)/gilt GO="$(GO)" sh ./.ci/matrix $(PYTHONS)

test-asan: unpack ## The C shim's tests under AddressSanitizer
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 $(GO) test -asan -timeout 20m ./internal/cpython ./thread ./gil ./handles

lint: $(LINT) ## go vet, gilt vet and golangci-lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt -w on these"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) run ./cmd/gilt vet $(PACKAGES)
	$(LINT) run

$(LINT):
	GOBIN=$(CURDIR)/$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv $(BIN)/golangci-lint $(LINT)

bench: build ## The named workloads, each beside the usual way to embed Python in Go
	$(BIN)/gilt bench

stress: unpack ## A random mix for 60 s against invariants, 10,000,000 handles and as many callbacks
	$(GO) test -count=1 -timeout 10m -v ./stress -stress.duration=60s
	$(GO) test -count=1 -timeout 10m -v ./handles -run '^TestMany' -handles.many=10000000 -handles.callbacks=10000000

fuzz: unpack ## Each fuzz target for FUZZTIME, 30 s by default
	@for p in $$($(GO) list -f '{{.Dir}}' ./...); do \
	  for f in $$(grep -hoE 'func Fuzz[A-Za-z0-9_]+' $$p/*_test.go 2>/dev/null | cut -c6-); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; \
	  done; done

sbom: build ## bin/gilt.cdx.json: the Go modules of bin/gilt with their licences, in CycloneDX; gilt licenses adds the bundled Python's parts
	$(GO) run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(SBOM_VERSION) bin -json -licenses -version v0.0.0 -output $(BIN)/gilt.cdx.json $(BIN)/gilt

clean: ## Remove what was built
	rm -rf $(BIN) codestats.jsonl
