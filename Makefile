# Switchyard. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
DEMO_DATA ?= data/demo
HOST ?= 127.0.0.1
PORT ?= 8000

# Compiled modules are kept: without them every command here takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install assets demo serve test check bench services schema docs clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/installed assets ## .venv with the program and its test tools; browser pages when npm is there

$(VENV)/installed: pyproject.toml
	@scripts/install $(VENV)
	@touch $@

assets: app/browser/dist/installed ## build the browser pages (GraphiQL, Swagger UI, ReDoc); without npm plain pages are served

app/browser/dist/installed: app/browser/package.json app/browser/vite.config.js $(wildcard app/browser/*.html app/browser/source/* app/browser/source/*/*/*)
	@scripts/assets

demo: install ## serve sample instruments on http://127.0.0.1:8000
	$(VENV)/bin/switchyard serve --demo --data-dir $(DEMO_DATA) --host $(HOST) --port $(PORT)

serve: install ## serve your own data
	$(VENV)/bin/switchyard serve --host $(HOST) --port $(PORT)

test: install ## all tests, the slow ones too
	$(PYTHON) -m pytest -q -n auto

# Three at a time: types, and the tests in two halves, each of which is collected once. What is not in HALF is in the other.
# Tests that search at random search for a third of the time.
HALF := tests/app tests/engine tests/schema tests/core
FAST := TEST_EFFORT=0.3 $(PYTHON) -m pytest -q -x -p no:xdist -m 'not slow and not browser'

check: $(VENV)/installed ## format, lint, types, layers, fast tests: schema and operations, too, but not the contract tests
	@$(VENV)/bin/ruff format --check --quiet . || { echo 'run: $(VENV)/bin/ruff format .'; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/lint-imports > /dev/null || $(VENV)/bin/lint-imports
	@scratch=$$(scripts/scratch); trap "rm -rf $$scratch" EXIT; \
	$(VENV)/bin/mypy > $$scratch/types 2>&1 & types=$$!; \
	$(FAST) --basetemp=$$scratch/one $(HALF) > $$scratch/half 2>&1 & half=$$!; \
	failed=0; $(FAST) --basetemp=$$scratch/two $(addprefix --ignore=,tests/contract $(HALF)) || failed=1; \
	wait $$half || failed=1; cat $$scratch/half; wait $$types || failed=1; cat $$scratch/types; exit $$failed

bench: $(VENV)/installed ## measure, as ratios in one run
	$(PYTHON) -m bench

services: ## start the real servers that some tests use
	scripts/services up

schema: $(VENV)/installed ## write schema/schema.graphql anew
	$(VENV)/bin/switchyard schema > schema/schema.graphql

docs: $(VENV)/installed ## write the generated parts of README and docs anew
	$(PYTHON) -m scripts.generate

clean: ## remove what was built here
	rm -rf $(VENV) app/browser/dist app/browser/node_modules data/demo
