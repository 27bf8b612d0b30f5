# `make serve` runs everything on this machine, `make test` proves it, `make lock` renews what both install.
# A distribution's Python is built with optimisations that a self-built one often lacks, and half as
# fast again; name another with `make PYTHON=...`.
SUITABLE := import sys, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do \
            $$p -c "$(SUITABLE)" 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: serve test test-clients fuzz lint lock clean

# Settings of your own: `config` is the sample, from which they are made once, for nobody else to read.
CONFIG ?= etc
serve: $(VENV)/.serve | $(CONFIG)
	$(BIN)/radiusd serve --config $(CONFIG)

etc:
	umask 077; rm -rf $@.part; cp -R config $@.part && mv $@.part $@

# A file of tests runs in one process, so that its tests share what they share; as many files at once as
# there are processors: `make test JOBS=1` runs one after the other.
JOBS ?= auto
TESTS ?= tests
test: $(VENV)/.test
	$(BIN)/pytest $(TESTS) --ignore=tests/clients --numprocesses $(JOBS) --dist loadfile

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

# What is installed is what the lock files name, by the hashes of its files; the project itself is built here.
LOCK := packaging/lock
INSTALL = $(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)/$(1).txt && \
          $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .

$(VENV)/.serve: pyproject.toml $(LOCK)/serve.txt | $(VENV)/bin/python
	$(call INSTALL,serve)
	touch $@

$(VENV)/.test: pyproject.toml $(LOCK)/test.txt | $(VENV)/bin/python
	$(call INSTALL,test)
	touch $@ $(VENV)/.serve

$(VENV)/.clients: $(LOCK)/clients.txt $(VENV)/.test
	$(call INSTALL,clients)
	touch $@

$(VENV)/.fuzz: $(LOCK)/fuzz.txt $(VENV)/.test
	$(call INSTALL,fuzz)
	touch $@

# Write the lock files anew, with the newest versions that pyproject.toml allows. What serves and what is
# tested are cut from one resolution, so that they are the same.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --group build --universal --python-version 3.11 \
          --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
          --custom-compile-command "make lock"
lock: | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
	$(COMPILE) --upgrade --all-extras --output-file $(VENV)/all.txt
	$(COMPILE) --constraint $(VENV)/all.txt --extra embedded --output-file $(LOCK)/serve.txt
	for extra in test clients fuzz; do \
	  $(COMPILE) --constraint $(VENV)/all.txt --extra embedded --extra test --extra $$extra \
	    --output-file $(LOCK)/$$extra.txt || exit 1; done
