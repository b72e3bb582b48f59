# Everything from nothing: each target makes .venv first, with $(PYTHON).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: test lint demo bench clean

test: $(VENV)/ready
	$(BIN)/python -m pytest

# The type checker cannot follow an editable install: a copy of the package answers it.
lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --target build/types .
	$(BIN)/mypy

demo: $(VENV)/ready
	$(BIN)/whence demo --dashboard

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# Older versions of pip know no dependency groups.
$(VENV)/ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
