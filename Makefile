# The build tags for the Podman bindings stand here, and in .goreleaser.yaml,
# which reads no Makefile: remote clients only, no cgo.
TAGS := remote,containers_image_openpgp,exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper
export GOFLAGS := -trimpath -tags=$(TAGS)
export CGO_ENABLED ?= 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: build demo test faults bench lab lint clean

build: ## bin/sextant
	go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/sextant ./cmd/sextant

demo: build ## the terminal UI on a fleet that does not exist
	bin/sextant demo

test: ## everything: lint, unit tests, and the lab of real hosts where it can run
	test/run

faults: build ## deploys broken in every way, again and again: docs/reliability.md
	test/faults/campaign

bench: build ## the figures of docs/performance.md
	test/bench

lab: ## bring up the lab of real hosts (root, Debian 12)
	test/lab/lab up

lint: ## the checks without the tests
	test/lint

clean:
	rm -rf bin dist
