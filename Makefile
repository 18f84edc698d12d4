.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PORT ?= 8080
WORKERS ?= 3
LONG ?= 4

$(STAMP): requirements.lock pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 14)))' \
		|| { echo "Lookalike needs Python 3.11 to 3.13; say which with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) lacks venv: install it (on Debian: apt install python3-venv), then make $(MAKECMDGOALS) again"; exit 1; }
	@echo "Making $(VENV) from requirements.lock (once; about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e . -e client
	@touch $@

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP)  ## Make the environment (.venv) and nothing else

.PHONY: run
run: $(STAMP)  ## Run the service with the demo catalog on port 8080 (or PORT=8081)
	@$(BIN)/lookalike up --demo --port $(PORT)

# What computes takes a process for each of two processors. The long tests mostly wait, so more of them run at once.
IN_PARALLEL := --dist worksteal --numprocesses
# Whole commands, encoders, indexes and workers are left to `make test`.
SLOWER := tests/api/cli tests/bench tests/e2e tests/services/encoders tests/services/index tests/workers

.PHONY: quick
quick: check  ## Check, and run the tests of what is pure and of the API (3 minutes)
	@$(BIN)/pytest $(IN_PARALLEL) 2 $(addprefix --ignore=,$(SLOWER))

.PHONY: test
test: $(STAMP)  ## Run the tests (5 minutes)
	@$(BIN)/pytest $(IN_PARALLEL) 2

.PHONY: test-long
test-long: $(STAMP)  ## Run the long tests: kills, outages, hostile input on a little, parity, the docs (20 minutes)
	@$(BIN)/pytest $(IN_PARALLEL) $(LONG) -m long

.PHONY: chaos
chaos: $(STAMP)  ## Run the chaos suite in full (hours; make test-long runs it on a little)
	@CHAOS=full $(BIN)/pytest -m 'long or nightly' tests/chaos

.PHONY: nightly
nightly: $(STAMP)  ## Run the long tests in full, those of scale, and the benchmarks (a night)
	@CHAOS=full $(BIN)/pytest -m 'long or nightly'
	@$(BIN)/python bench/suite.py

.PHONY: test-server
test-server: $(STAMP)  ## Run the tests of the index on a real Qdrant: make test-server QDRANT_URL=http://... [QDRANT_API_KEY=...]
	@test -n "$(QDRANT_URL)" || { echo "Name the Qdrant to test with: make test-server QDRANT_URL=http://127.0.0.1:6333"; exit 1; }
	@QDRANT_URL=$(QDRANT_URL) QDRANT_API_KEY=$(QDRANT_API_KEY) $(BIN)/pytest tests/services/index -k server

.PHONY: stack
stack: $(STAMP)  ## Run what compose.yaml runs, as plain processes (make stack WORKERS=3 PORT=8080)
	@$(BIN)/python deploy/stack.py --workers $(WORKERS) --port $(PORT)

.PHONY: check
check: $(STAMP)  ## Check format, lint, types and the import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: $(STAMP)  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(STAMP)  ## Run all benchmarks on a little and tell what they found (20 minutes)
	@$(BIN)/python bench/suite.py

.PHONY: bench-full
bench-full: $(STAMP)  ## Run all benchmarks in full and write docs/performance.md anew (over an hour)
	@$(BIN)/python bench/suite.py --full

COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(VENV)-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	--no-strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links pyproject.toml

define TWICE
/^[^ ]/ { printf "%s", plain; plain = "" }
{ print }
/^[a-z0-9-]+\[/ { plain = $$0 "\n"; sub(/\[[^]]*\]/, "", plain); next }
plain && /--hash/ { plain = plain $$0 "\n" }
endef
export TWICE

.PHONY: lock
lock:  ## Compile the three lock files anew from pyproject.toml
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	@$(COMPILE) --extra dev --output-file requirements.lock
	@# It drops the markers of extras, and this one has wheels for these machines only.
	@sed -i "s/^atheris==[^ ]*/& ; sys_platform == 'linux' and platform_machine == 'x86_64'/" requirements.lock
	@$(COMPILE) --constraint requirements.lock --output-file requirements-cpu.lock
	@$(COMPILE) --extra gpu --constraint requirements.lock --output-file requirements-gpu.lock
	@# pip 23.2, of Python 3.11, takes a requirement without an extra for one that is not pinned, where only the one with it has been.
	@for lock in requirements*.lock; do awk "$$TWICE" $$lock > $$lock.new && mv $$lock.new $$lock; done
	@rm -rf $(VENV)-lock
