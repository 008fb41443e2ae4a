# Each of these sets up what it needs by itself; a second run starts in seconds.
PYTHON ?= python3
VENV ?= .venv
WORKSPACE ?= workspace
VIDEO ?=
DEMO ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: demo test quick check format bench clean

demo: $(READY)  ## masks on every fifth frame of VIDEO, and Label Studio to correct them in
	$(BIN)/mvps -w $(WORKSPACE) demo $(DEMO) $(VIDEO)

test: $(READY_DEV)  ## the whole test suite, with a real Label Studio
	$(BIN)/python -m backend.studio.local
	$(PYTEST) $(PYTEST_ARGS)

quick: check  ## style, types and the tests that need no Label Studio, no browser and no training
	$(PYTEST) -m "not studio and not browser and not training and not slow" \
	  --hypothesis-profile quick $(PYTEST_ARGS)

check: $(READY_DEV)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY_DEV)  ## speed and memory, as a table and as JSON
	$(BIN)/python scripts/bench.py
	$(BIN)/python scripts/bench_publish.py

clean:  ## the virtual environment only: a workspace holds people's work
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade "pip>=25.1"

# Not quiet: it takes minutes, and pip tells each package with its size and the time left.
PIP := $(BIN)/python -m pip --no-input --disable-pip-version-check install

$(READY): pyproject.toml | $(BIN)/python
	@echo "Installing what mvps-labeler needs into $(VENV), once: a few minutes; torch is the largest."
	$(PIP) --editable .
	touch $@

$(READY_DEV): pyproject.toml | $(READY)
	@echo "Installing what the tests need into $(VENV), once."
	$(PIP) --editable . --group dev
	touch $@ $(READY)
