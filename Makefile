# Every target does its own set-up. Needed on the machine: Go, gcc, make and npm; git for the checks.
# `make` alone prints what there is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

GO    ?= go
OUT   := out
CACHE := .cache
# TOOLS may point outside the project, so that a build machine keeps its tools between clones.
TOOLS ?= $(CACHE)/tools

# Plugins in Go, and those in C and C++, which are committed as modules.
PLUGINS := text classify compare ensemble
COMMITTED := image ocr
# Modules beside the main one that have Go code of their own.
MODULES := sdk/go

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what must be on the machine -------------------------------------------------------------------------------------

# lack prints one line and stops when the program $(1) is not there; $(2) says how to get it.
lack = command -v $(1) >/dev/null || { echo "make: $(1) is missing: $(2)" >&2; exit 1; }

.PHONY: need-go need-cc need-git
need-go:
	@$(call lack,$(GO),install Go 1.26 or newer (https://go.dev/dl) and put it on PATH)
need-cc: need-go
	@if [ "$$($(GO) env CGO_ENABLED)" = 1 ] || [ -z "$${CGO_ENABLED:-}" ]; then \
	  $(call lack,$${CC:-gcc},install it (Debian and Ubuntu: apt-get install gcc libc6-dev) or set CC); fi
need-git:
	@$(call lack,git,install it (Debian and Ubuntu: apt-get install git))

# --- build and run ---------------------------------------------------------------------------------------------------

.PHONY: build
build: need-cc ## Build bin/tandem
	@$(GO) build -o bin/tandem ./cmd/tandem

.PHONY: plugins
plugins: $(PLUGINS:%=plugin-%) $(COMMITTED:%=plugin-%) ## Build the stock plugins to bin/plugins/*.wasm

.PHONY: $(PLUGINS:%=plugin-%)
$(PLUGINS:%=plugin-%): plugin-%: need-go
	@GOOS=wasip1 GOARCH=wasm $(GO) build -buildmode=c-shared -ldflags="-s -w" -o bin/plugins/$*.wasm ./plugins/$*/wasm

.PHONY: $(COMMITTED:%=plugin-%)
$(COMMITTED:%=plugin-%): plugin-%:
	@mkdir -p bin/plugins && cp plugins/$*/$*.wasm bin/plugins/$*.wasm

.PHONY: plugin-check
plugin-check: ## Check that the committed modules of stock plugins are what their sources build (clang and wasm-ld 14)
	@$(call lack,clang,install clang and lld (Debian: apt-get install clang lld))
	@$(call lack,wasm-ld,install lld (Debian: apt-get install lld))
	@$(MAKE) -C plugins/image check
	@$(MAKE) -C plugins/ocr/module check

.PHONY: setup
setup: need-go ## Fetch ONNX Runtime and the OCR models into .cache (pinned, checked; nothing when they are there)
	@$(GO) run ./internal/setup onnxruntime ocr-models

.PHONY: swiftshader
swiftshader: need-go ## Fetch a Vulkan driver that needs no GPU into .cache, for the tests of WebGPU (Debian, Linux)
	@$(GO) run ./internal/setup swiftshader

.PHONY: demo
demo: setup build plugins ## Run both example graphs on a temporary server and print their answers
	@$(GO) run ./internal/demo

.PHONY: run
run: setup build ## Start a server that stays, with its data in ./data
	@exec bin/tandem serve --data ./data

# --- plugin SDKs -----------------------------------------------------------------------------------------------------

SDKS := c cpp rust zig as

.PHONY: sdk-toolchains
sdk-toolchains: ## Install the pinned compilers of the SDKs into .cache (Rust, Zig, AssemblyScript; 300 MB)
	@sdk/toolchains.sh rust zig as

.PHONY: sdk-modules
sdk-modules: sdk-toolchains ## Build the committed modules of the SDKs again
	@sdk/modules.sh build $(SDKS)

.PHONY: sdk-check
sdk-check: ## Test the SDKs in their own languages and hold the committed modules to their sources, as far as compilers are here
	@sdk/toolchains.sh as
	@sdk/test.sh $(SDKS)
	@sdk/modules.sh check $(SDKS)

# --- tests -----------------------------------------------------------------------------------------------------------

# go-test runs $(1) in the main module and in the others.
go-test = $(1) ./... $(foreach m,$(MODULES),&& (cd $(m) && $(1) ./...))

.PHONY: test
test: setup build plugins ## Run all tests, end to end ones and a hundred power cuts included
	$(call go-test,$(GO) test -timeout 20m $(TESTFLAGS))

.PHONY: race
race: setup build plugins ## Run the short tests under the race detector
	$(call go-test,$(GO) test -race -short -timeout 20m $(TESTFLAGS))

.PHONY: test-frameworks
test-frameworks: setup build plugins ## Serve models of scikit-learn, XGBoost, PyTorch, Transformers and Silero and compare (PART=sklearn: one)
	@$(GO) run ./internal/setup silero-vad
	@$(MAKE) -C examples/frameworks test

PUBLISHES ?= 1000

.PHONY: soak
soak: setup build plugins ## Publish PUBLISHES (1000) releases under constant load, and watch calls and memory
	$(GO) test -count=1 -timeout 60m -v -run '^TestPublishUnderLoad$$' ./internal/e2e

soak: export TANDEM_PUBLISHES := $(PUBLISHES)

SECRETS ?= 100000

.PHONY: test-secrets
test-secrets: need-cc ## Let a plugin hunt for the secrets of earlier calls, SECRETS (100000) calls for each way of resetting
	TANDEM_SECRETS=$(SECRETS) $(GO) test -count=1 -timeout 60m -v -run '^TestSecrets$$' ./host/sandbox

HOSTILE ?= 5s

.PHONY: test-hostile
test-hostile: setup build plugins ## Attack a server for HOSTILE (5s) an attack while a victim calls it, and print a table
	TANDEM_HOSTILE=$(HOSTILE) $(GO) test -count=1 -timeout 60m -v -run '^TestHostileTenants$$' ./internal/e2e

TENANTS ?= 1000
STEADY  ?= 20s

.PHONY: test-tenants
test-tenants: setup build plugins ## Put TENANTS (1000) tenants on a server, restart it, call them all, then any of them for STEADY (20s); prints figures
	TANDEM_TENANTS=$(TENANTS) TANDEM_STEADY=$(STEADY) $(GO) test -count=1 -timeout 60m -v -run '^TestManyTenants$$' ./internal/e2e

FUZZTIME ?= 5s

.PHONY: fuzz
fuzz: setup ## Fuzz every decoder of outside bytes for FUZZTIME (5s each); FUZZ=regexp narrows the targets
	@$(GO) run ./internal/fuzz -time $(FUZZTIME) -only '$(FUZZ)' . $(MODULES)

.PHONY: soak-workers
soak-workers: setup ## Load and unload a model 500 times in one worker, whose memory must reach a plateau; the curve goes to out/workers.json
	TANDEM_SOAK=$(CURDIR)/$(OUT)/workers.json $(GO) test ./runners/worker -run '^TestSoak$$' -count 1 -v

.PHONY: bench
bench: setup build plugins ## Run the benchmark suites, or SUITE=name; figures go to out/bench/*.json
	@$(GO) run ./internal/bench $(if $(SUITE),-suite $(SUITE))

# --- pinned tools ----------------------------------------------------------------------------------------------------

# Each tool is built from source once per version; versions stand in the go.mod files below internal/tools and nowhere
# else. The tools' dependencies clash, which is why there are three of them.
tool-version = $(shell awk '$$1 == "$(2)" {print $$2}' internal/tools/$(1)/go.mod)

GOLANGCI := $(abspath $(TOOLS))/golangci-lint-$(call tool-version,golangci-lint,github.com/golangci/golangci-lint/v2)/golangci-lint
BUF      := $(abspath $(TOOLS))/buf-$(call tool-version,buf,github.com/bufbuild/buf)/buf
GENGO    := $(abspath $(TOOLS))/protoc-gen-go-$(call tool-version,.,google.golang.org/protobuf)/protoc-gen-go
GENRPC   := $(abspath $(TOOLS))/protoc-gen-connect-go-$(call tool-version,.,connectrpc.com/connect/v2)/protoc-gen-connect-go
STAT     := $(abspath $(TOOLS))/benchstat-$(call tool-version,.,golang.org/x/perf)/benchstat

# build-tool builds package $(2) of the module in internal/tools/$(1) to the target.
build-tool = @echo "building $(notdir $@) from source (once, may take minutes)" && mkdir -p $(@D) && \
	cd internal/tools/$(1) && CGO_ENABLED=0 $(GO) build -ldflags="-s -w" -o $@ $(2)

$(GOLANGCI): | need-go
	$(call build-tool,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
$(BUF): | need-go
	$(call build-tool,buf,github.com/bufbuild/buf/cmd/buf)
$(GENGO): | need-go
	$(call build-tool,.,google.golang.org/protobuf/cmd/protoc-gen-go)
$(GENRPC): | need-go
	$(call build-tool,.,connectrpc.com/connect/v2/cmd/protoc-gen-connect-go)
$(STAT): | need-go
	$(call build-tool,.,golang.org/x/perf/cmd/benchstat)

.PHONY: tools
tools: $(GOLANGCI) $(BUF) $(GENGO) $(GENRPC) $(STAT) ## Build all pinned tools now

# --- checks ----------------------------------------------------------------------------------------------------------

.PHONY: lint
lint: lint-go lint-proto lint-build ## Run all linters: Go, protobuf, portability

.PHONY: lint-go
lint-go: need-cc $(GOLANGCI) ## Run go vet and golangci-lint, natively and for the plugins' own platform
	$(call go-test,$(GO) vet)
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./plugins/...
	$(foreach m,$(MODULES),cd $(m) && GOOS=wasip1 GOARCH=wasm $(GO) vet ./... && cd $(CURDIR))
	$(GOLANGCI) run $(LINTFLAGS) ./...
	$(foreach m,$(MODULES),cd $(m) && $(GOLANGCI) run $(LINTFLAGS) --config $(CURDIR)/.golangci.yml ./...)

# AGAINST is what `buf breaking` compares with: the main branch of the origin when we are not on it, else the newest
# release, else the commit before.
AGAINST ?= $(shell git rev-parse -q --verify 'refs/remotes/origin/main^{commit}' | grep -v "^$$(git rev-parse HEAD)" \
	|| git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null || git rev-parse -q --verify 'HEAD^^{commit}')

.PHONY: lint-proto
lint-proto: need-git $(BUF) ## Check the .proto files: format, style, no breaking change
	cd proto && $(BUF) format --diff --exit-code --path tandem
	cd proto && $(BUF) lint
	@if [ -n "$(AGAINST)" ] && git cat-file -e "$(AGAINST):proto/buf.yaml" 2>/dev/null; then \
	  echo "buf breaking against $(AGAINST)"; \
	  git archive --format=tar "$(AGAINST)" proto | $(BUF) breaking proto --against '-#format=tar,subdir=proto'; \
	else echo "buf breaking: nothing to compare with"; fi

.PHONY: lint-build
lint-build: need-go ## Check that everything builds without cgo, and for macOS
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build ./...

.PHONY: fmt
fmt: $(GOLANGCI) $(BUF) ## Format Go and protobuf files
	$(GOLANGCI) fmt ./...
	$(foreach m,$(MODULES),cd $(m) && $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml ./... && cd $(CURDIR))
	cd proto && $(BUF) format -w --path tandem

# buf finds the generators on PATH.
generate-proto = cd proto && PATH="$(dir $(GENGO)):$(dir $(GENRPC)):$$PATH" $(BUF) generate

.PHONY: generate
generate: $(BUF) $(GENGO) $(GENRPC) ## Write all generated code again
	$(generate-proto)

.PHONY: checkgenerate
checkgenerate: $(BUF) $(GENGO) $(GENRPC) ## Check that the committed generated code is fresh
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && mkdir "$$dir/gen" && \
	  ($(generate-proto) -o "$$dir") && \
	  diff -r "$$dir/gen" proto/gen >&2 || { echo "make: proto/gen is stale: run make generate and commit" >&2; exit 1; }
	@echo "generated code is fresh"

.PHONY: clean
clean: ## Remove what was built and measured (not ./data, not .cache)
	rm -rf bin $(OUT)
