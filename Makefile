# Tandem: every command of the project. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATA ?= var
# Set PYTEST_ARGS to run a part: make test PYTEST_ARGS='tests/directory -x'
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-8s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY) ## make the environment in .venv; nothing is started

$(READY): requirements.lock pyproject.toml
	@VENV='$(VENV)' .ci/environment
	@touch $@

.PHONY: run
run: $(READY) ## set up and start the server in the foreground, data in ./var
	@exec $(BIN)/tandem serve --data $(DATA)

.PHONY: test
test: $(READY) ## all tests but the long proofs; counts by kind
	@VENV='$(VENV)' .ci/programs
	$(BIN)/pytest $(PYTEST_ARGS)

.PHONY: check
check: $(READY) ## format, lint, floors, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

.PHONY: proof
proof: $(READY) ## the long checks; the dated result goes to docs/proof
	@VENV='$(VENV)' .ci/programs
	@mkdir -p docs/proof
	HYPOTHESIS_PROFILE=exploring $(BIN)/pytest -m proof -p no:cacheprovider --timeout 3600 | tee docs/proof/$$(date -u +%Y-%m-%d).txt

.PHONY: bench
bench: $(READY) ## figures: CPU, memory, latency
	@$(BIN)/python -m bench

.PHONY: fuzz
fuzz: $(READY) ## parsers against random input; TANDEM_FUZZ=60: seconds for each guided target
	HYPOTHESIS_PROFILE=exploring $(BIN)/pytest tests/fuzz --timeout 1800
	$(BIN)/python -m tests.fuzz

.PHONY: simulate
simulate: $(READY) ## replay one SEED in virtual time; with HOURS=… run on from it
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed '$(SEED)') $(if $(HOURS),--hours '$(HOURS)')

.PHONY: docs
docs: $(READY) ## write the pages that are made from the code
	$(BIN)/python -m tools.ledgers
	$(BIN)/python -m tools.builtins_table > docs/cgpl/builtins.md

.PHONY: format
format: $(READY) ## format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: clean
clean: ## remove the environment and caches; data in ./var stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
