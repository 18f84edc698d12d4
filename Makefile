.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 14)))' \
		|| { echo "Lookalike needs Python 3.11 to 3.13; say which with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) lacks venv: install it (on Debian: apt install python3-venv), then make $(MAKECMDGOALS) again"; exit 1; }
	@echo "Making $(VENV) from requirements.lock (once; about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP)  ## Make the environment (.venv) and nothing else

.PHONY: run
run: $(STAMP)  ## Draw and index the demo catalog, show neighbors, write a contact sheet
	@$(BIN)/lookalike demo

.PHONY: test
test: $(STAMP)  ## Run the tests (minutes)
	@$(BIN)/pytest

.PHONY: test-long
test-long: $(STAMP)  ## Run the long tests: kills, parity, the demo's quality
	@$(BIN)/pytest -m long

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
bench: $(STAMP)  ## Compare with the script that Lookalike replaces (20 minutes)
	@$(BIN)/python bench/ingest.py

.PHONY: lock
lock:  ## Compile requirements.lock anew from pyproject.toml
	@$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	@CUSTOM_COMPILE_COMMAND="make lock" $(VENV)-lock/bin/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements.lock pyproject.toml
	@rm -rf $(VENV)-lock
