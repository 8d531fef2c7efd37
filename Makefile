# `make run` and `make test` need only Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

MINUTES ?=
REPLICAS ?= 3
DATABASE ?= both

# Tests, soak and benchmarks start the bot hundreds of times; without bytecode, each start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := run
.PHONY: run test fuzz soak bench lint format picture lock clean

run: $(VENV)/run.stamp  ## connect to Slack if .env has tokens, otherwise start the sandbox
	$(BIN)/flokit-bot run --or-sandbox

test: $(VENV)/dev.stamp  ## run all tests
	$(BIN)/pytest --numprocesses auto --dist loadfile

fuzz: $(VENV)/dev.stamp  ## send hostile input to everything reachable from outside (MINUTES=1 in total)
	FUZZ_SECONDS=$$(($(MINUTES) * 60 / 10)) FUZZ_REPORT=fuzz.txt $(BIN)/pytest tests/fuzz
	@cat fuzz.txt && rm fuzz.txt

soak: $(VENV)/dev.stamp  ## run the bot under crashes, faults and clicks: MINUTES=1 SEED= REPLICAS=3 DATABASE=both (sqlite, postgresql) WORKSPACES=1
	$(BIN)/python -m soak --minutes $(or $(MINUTES),1) --replicas $(REPLICAS) --database $(DATABASE) $(if $(SEED),--seed $(SEED)) \
		$(if $(WORKSPACES),--workspaces $(WORKSPACES))

bench: $(VENV)/dev.stamp  ## measure speed and cost: ROWS=acks,delay (default: all but sizes; CI runs guard) MINUTES=4 FULL=1
	$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FULL),--full)

lint: $(VENV)/dev.stamp  ## run the linters and type checks of CI
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

picture: $(VENV)/dev.stamp  ## take the screenshots in docs/images (needs chromium)
	$(BIN)/pytest tests/scenarios/test_browser.py tests/scenarios/test_another_workspace.py -k 'main_job or incident or stranger'
	mkdir -p docs/images
	cp artifacts/thread.png artifacts/incident.png artifacts/install.png docs/images/

format: $(VENV)/dev.stamp  ## fix formatting and imports
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(VENV)/dev.stamp  ## update the pinned dependencies (needs uv)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --upgrade --output-file requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev --extra otel --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove everything the other targets created
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis artifacts

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make run PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	touch $@
