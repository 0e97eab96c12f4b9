# Every verb of this project. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help venv tools browser demo test check bench live soak generate clean distclean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## Show alerts on real flights, from log line to page (sets up everything, needs no root)
	@.ci/fetch-tools latest || echo "make demo: no Prometheus and Alertmanager, so the exporter runs alone."
	@$(BIN)/python examples/01-flights/demo.py $(ARGS)

venv: $(STAMP) ## Create .venv with the package (editable) and everything to develop it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make venv: $(PYTHON): expected Python 3.11 or later, got $$($(PYTHON) -V 2>&1). Name one: make venv PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make venv: $(PYTHON) cannot create virtual environments. Install the Debian package python3-venv,"; \
		echo "or name a Python that can: make venv PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev,demo]'
	@touch $@

tools: ## Fetch Prometheus, Alertmanager and Pushgateway, oldest and newest supported, into .tools/
	@.ci/fetch-tools

browser: ## Put a Chromium that needs no screen into .tools/: a link to an installed one, or Debian's
	@.ci/fetch-tools browser

test: venv tools ## Run the tests, doctests and rule tests (under 10 minutes)
	$(PYTEST) -n 2 --ignore=tests/live $(ARGS)

check: venv ## Lint, check types and layers, and compare the generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/ml-exporter generate --check

live: venv tools browser ## Run the tests against real Prometheus and Alertmanager servers, and in a browser
	$(PYTEST) tests/live $(ARGS)

soak: venv tools ## Run the long tests under load
	$(PYTEST) -m soak $(ARGS)

bench: venv tools ## Measure speed and memory: prints `name value unit` lines
	@for script in bench/*.py; do echo "# $$script"; $(BIN)/python "$$script" || exit 1; done

generate: venv ## Write every generated file: rules, dashboards, references
	$(BIN)/ml-exporter generate

clean: ## Remove caches, build results and what the demo wrote
	rm -rf build dist examples/*/out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find exporter tests examples bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## Remove .venv and .tools too
	rm -rf .venv .tools
