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

# Types, schema and operations are looked at while the tests run, and told after them. Many tests wait: hence four at a time.
check: $(VENV)/installed ## format, lint, types, layers, schema, operations, fast tests (not the contract tests)
	@$(VENV)/bin/ruff format --check --quiet . || { echo 'run: $(VENV)/bin/ruff format .'; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/lint-imports > /dev/null || $(VENV)/bin/lint-imports
	@told=$$(mktemp); scratch=$$(scripts/scratch); trap "rm -rf $$told $$scratch" EXIT; \
	{ $(VENV)/bin/mypy && $(VENV)/bin/switchyard schema --check && $(VENV)/bin/switchyard check; } > $$told 2>&1 & \
	$(PYTHON) -m pytest -q -m 'not slow and not browser' -x -n 4 --ignore=tests/contract --basetemp=$$scratch; tests=$$?; \
	wait $$!; others=$$?; cat $$told; exit $$((tests | others))

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
