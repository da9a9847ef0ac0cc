# One command does it all: each target sets up .venv first, if that has not been done or is out of date.
# Needs Python >= 3.11 with its venv module, and the network on the first run. Use another Python with `make PYTHON=python3.12`.

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.set-up

# Pass more arguments on, e.g. `make demo ARGS="--seed 3"` or `make test ARGS="-k plan"`.
ARGS =

# How many times `make torture` kills a running search.
TORTURE_KILLS ?= 100

.PHONY: help setup demo test check lint types torture bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP)  ## create .venv and install everything (the other targets do it by themselves)

# Torch goes first and alone, so that pip takes the build that suits this machine before ray's needs are resolved.
$(STAMP): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "make: there is no '$(PYTHON)' here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1), but 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV): downloads ray, torch and a few more, once. This takes a few minutes."
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,demo]'
	@touch $(STAMP)

demo: $(STAMP)  ## tune a real network on this machine, in about two minutes
	$(BIN)/hyperband demo $(ARGS)

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest $(ARGS)

check: lint types test  ## all that must be green before a commit

lint: $(STAMP)  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## types, strict
	$(BIN)/mypy

torture: $(STAMP)  ## kill real runs TORTURE_KILLS times and resume them
	TORTURE_KILLS=$(TORTURE_KILLS) $(BIN)/python -m pytest -m torture --timeout 0 $(ARGS)

bench: $(STAMP)  ## what the engine costs beside a bare ray.wait loop
	$(BIN)/python benchmarks/engine_overhead.py $(ARGS)

clean:  ## remove .venv, caches and builds; experiments in runs/ stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
