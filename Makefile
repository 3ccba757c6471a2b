# One verb each. `make help` lists them.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := $(or $(SPANLEDGER_TOOLS_DIR),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spanledger-tools)
PROMETHEUS ?= $(wildcard $(TOOLS)/bin/prometheus)
VICTORIAMETRICS ?= $(wildcard $(TOOLS)/bin/victoria-metrics)
STAMP := $(VENV)/.setup-stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo test collector test-collector prometheus test-prometheus victoriametrics e2e-client compatibility lint format types imports size docs docs-check dashboards dashboards-check golden bench bench-rating bench-settling crash soak fleet fuzz ci check-boards pictures bench-panels clean

help: ## List the verbs
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv with the command in .venv/bin/spanledger

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "spanledger needs Python 3.11 or newer; none found (set PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: setup ## Send captured sessions through the service and check what comes out
	@$(BIN)/spanledger demo

test: setup ## Run the tests (no network; under 5 minutes on two cores)
	@$(BIN)/python -m pytest -q -n auto --dist worksteal

collector: ## Build the Collector of collector-config/builder-config.yaml (ten minutes, once, outside the tree)
	@tools/build_collector.sh

test-collector: setup ## Run the tests with a real Collector, which is built first; without Go it says so
	@otelcol="$$(nice tools/build_collector.sh)"; status=$$?; \
	if [ $$status -eq 3 ]; then echo "SKIPPED: the tests with a real Collector"; exit 0; fi; \
	[ $$status -eq 0 ] || exit $$status; \
	OTELCOL="$$otelcol" PROMETHEUS="$(PROMETHEUS)" $(BIN)/python -m pytest -q -m collector tests/collector

prometheus: ## Build Prometheus and promtool (twenty minutes, once, outside the tree)
	@tools/build_prometheus.sh

test-prometheus: setup ## Run the tests with a real Prometheus and promtool, built first; without Go it says so
	@bin="$$(nice tools/build_prometheus.sh)"; status=$$?; \
	if [ $$status -eq 3 ]; then echo "SKIPPED: the tests with a real Prometheus"; exit 0; fi; \
	[ $$status -eq 0 ] || exit $$status; \
	PROMETHEUS="$$bin/prometheus" PROMTOOL="$$bin/promtool" VICTORIAMETRICS="$(VICTORIAMETRICS)" \
	$(BIN)/python -m pytest -q -m prometheus tests/prometheus

victoriametrics: ## Build VictoriaMetrics, which test-prometheus tries too where it is there (minutes, once, outside the tree)
	@GOBIN="$(TOOLS)/bin" go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.146.0

LAB ?= $(firstword $(dir $(wildcard ../*/lab/labrun.py)))
CLIENT_VERSION ?= 2.1.330
e2e-client: setup ## Let a real client work through the scenarios of a capture lab, against the running service: LAB=folder
	@test -f "$(LAB)/labrun.py" || { echo "SKIPPED: no capture lab: give its folder, the one with labrun.py, as LAB=..."; exit 0; }; \
	client="$$(CLIENT_VERSION=$(CLIENT_VERSION) tools/get_client.sh)"; status=$$?; \
	if [ $$status -eq 3 ]; then echo "SKIPPED: the tests with a real client"; exit 0; fi; \
	[ $$status -eq 0 ] || exit $$status; \
	CLIENT="$$client" LAB="$(LAB)" unshare --net --map-root-user sh -c 'ip link set lo up && exec "$$@"' loopback-only \
	$(BIN)/python -m pytest -v -m client tests/client

compatibility: setup ## Write docs/reference/compatibility.md anew from the tests with real backends
	@OTELCOL="$$(nice tools/build_collector.sh)" PROMETHEUS="$(PROMETHEUS)" COMPATIBILITY=write \
	$(BIN)/python -m pytest -q -m collector tests/collector/test_backends.py
	@$(BIN)/python tools/generate_reference.py

lint: setup ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## Check types
	@$(BIN)/mypy

imports: setup ## Check that stages stay apart
	@$(BIN)/lint-imports

size: setup ## Check that functions and modules stay small
	@$(BIN)/python tools/check_size.py src

docs: setup ## Generate docs/reference from the code
	@$(BIN)/python tools/generate_reference.py

docs-check: setup ## Check that docs/reference is what the code says
	@$(BIN)/python tools/generate_reference.py --check

dashboards: setup ## Build dashboards/*.json from the code
	@$(BIN)/spanledger dashboards build dashboards

dashboards-check: setup ## Check that dashboards/*.json are what the code says
	@$(BIN)/spanledger dashboards check dashboards

check-boards: setup ## Ask every query of the boards, for every choice: make check-boards DASH_CHECK=path/to/dash_check.py
	@PROMETHEUS="$(PROMETHEUS)" $(BIN)/python tools/check_boards.py --dash-check "$(DASH_CHECK)"

pictures: setup ## Draw the boards into docs/pictures: make pictures DASHRENDER=folder DASH_CHECK=path/to/dash_check.py
	@PROMETHEUS="$(PROMETHEUS)" $(BIN)/python tools/draw_boards.py --dash-check "$(DASH_CHECK)" --dashrender "$(DASHRENDER)"

golden: setup ## Write the golden files anew, for review
	@$(BIN)/python tests/golden/regenerate.py

bench: setup ## Measure the service under load: make bench LOAD=path/to/otlp_perf_load.py
	@$(BIN)/python benchmarks/pipeline.py --load "$(LOAD)"

crash: setup ## Kill the service at 50 random moments under load, and before every numbered effect
	@SPANLEDGER_TEST_KILLS=50 $(BIN)/python -m pytest -q tests/fault

SOAK_SECONDS ?= 600
soak: setup ## Hold the load of 4,000 developers for SOAK_SECONDS with a kill and an outage; fail on what is lost, late or large
	@GRPC_VERBOSITY=ERROR PYTHONPATH=tests $(BIN)/python -m soak.run --seconds $(SOAK_SECONDS)

FLEET_DEVELOPERS ?= 1000
FLEET_SEED ?= 1
fleet: setup ## Hold a simulated day of FLEET_DEVELOPERS, whose true cost is known, against the ledger (nightly; FLEET_SEED)
	@PYTHONPATH=tests $(BIN)/python -m support.fleet.run --developers $(FLEET_DEVELOPERS) --seed $(FLEET_SEED)

bench-panels: setup ## Measure every panel on a month of 500 developers: make bench-panels DASH_CHECK=path/to/dash_check.py
	@PROMETHEUS="$(PROMETHEUS)" $(BIN)/python benchmarks/panels.py --dash-check "$(DASH_CHECK)" --table benchmarks/panels.md

bench-rating: setup ## Measure what it costs to price a call, beside genai-prices
	@$(BIN)/python benchmarks/rating.py

bench-settling: setup ## Measure what it costs to settle a call, and that memory stays flat over a simulated day
	@$(BIN)/python benchmarks/settling.py

FUZZ_SECONDS ?= 300
fuzz: setup ## Look for bytes that break the reader, guided by coverage (atheris), for FUZZ_SECONDS
	@$(BIN)/pip install --quiet --disable-pip-version-check 'atheris>=3.0' || \
		{ echo "atheris cannot be had for this Python: trying many more examples instead" >&2; \
		HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -q tests/property/test_fuzz.py; exit; }; \
	$(BIN)/python tests/fuzz/guided.py --seconds $(FUZZ_SECONDS)

ci: ## What continuous integration runs
	@.ci/run

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
