SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Every module of the repository. Nested modules are invisible to ./... of the one above, so each target loops.
MODULES := . runtime $(sort $(patsubst %/go.mod,%,$(wildcard bench/go.mod generated-examples/*/go.mod)))
# A workspace file around the checkout must not change what is built.
export GOWORK := off

STATICCHECK := go tool -modfile=$(CURDIR)/tools/go.mod staticcheck
BUF_VERSION := v1.75.0
PROTOC_GEN_GO_VERSION := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2

# each runs a command in every module: $(call each,go vet ./...)
define each
@for m in $(MODULES); do echo "--- $$m: $(1)"; (cd $$m && $(1)); done
endef

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: quickstart
quickstart: ## Generate a source and a sink, run both on the embedded broker, kill each, prove that nothing is lost (KEEP=1 leaves all running)
	go run ./internal/quickstart

.PHONY: test
test: ## Run the tests of every module
	$(call each,go test ./...)

.PHONY: race
race: ## Run the tests of every module with the race detector; -short leaves out the check of the runtime's pin, which has no concurrency
	$(call each,go test -race -short ./...)

.PHONY: lint
lint: ## Check format, vet and staticcheck, templates included
	@bad=$$(gofmt -l . $$(find templates -name '*.go.tmpl')); if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	$(call each,go vet ./...)
	$(call each,$(STATICCHECK) ./...)

.PHONY: generate
generate: ## Write generated-examples/ anew from the templates
	go run ./internal/examples

.PHONY: check
check: lint examples race ## All that must hold before a change lands, but for test and quickstart
	$(call each,go mod tidy -diff)

.PHONY: examples
examples: ## Check that generated-examples/ is byte for byte what the templates give
	go run ./internal/examples --check

.PHONY: bench
bench: ## Run the benchmarks; results go to bench/results
	cd bench && go run ./suite run
	cd bench && go test -run '^$$' -bench . -benchtime 3s .
	go test -run '^$$' -bench . ./internal/render

.PHONY: soak
soak: ## Publish and consume for five minutes while the broker fails all the time, and check that nothing grows
	cd runtime && SOAK=5m go test ./danube -run 'TestNothingGrows$$' -timeout 10m -v

.PHONY: bench-compare
bench-compare: ## Set two results of `make bench` side by side: make bench-compare OLD=bench/results/a.json NEW=bench/results/b.json
	cd bench && go run ./suite compare $(abspath $(OLD)) $(abspath $(NEW))

.PHONY: e2e
e2e: ## Run the connectors against real servers, and other people's clients and a browser against the development broker
	./e2e/run

.PHONY: templates
templates: ## After a change of the runtime's requirements or of a config struct: bring go.mod, go.sum, schema and option tables of the templates up to date
	go run ./internal/examples --refresh

.PHONY: proto
proto: ## Generate the wire types from the .proto files
	GOBIN=$(CURDIR)/.tmp/bin go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	GOBIN=$(CURDIR)/.tmp/bin go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
	GOBIN=$(CURDIR)/.tmp/bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
	cd runtime/danube/danubepb && PATH=$(CURDIR)/.tmp/bin:$$PATH $(CURDIR)/.tmp/bin/buf generate
