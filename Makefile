# Everything from nothing: each target makes .venv first, with $(PYTHON).
PYTHON ?= python3
PYTHONS ?= $(or $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))),$(PYTHON))
VENV := .venv
BIN := $(VENV)/bin

# What `make sanitize` runs.
TESTS := tests/engine tests/conformance tests/engine_c tests/property tests/instrumentation
SANITIZERS := -fsanitize=address,undefined

.PHONY: test lint sanitize demo bench measure clean

test: $(VENV)/ready
	$(BIN)/python -m pytest

# The type checker cannot follow an editable install: a copy of the package answers it.
lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --target build/types .
	$(BIN)/mypy

# A report is written to where stderr was at the start, and ends the process: pytest must not have
# caught that.
# The engine in C with every access to memory checked, and every operation that C does not define.
sanitize: $(VENV)/ready
	CFLAGS="$(SANITIZERS) -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g" \
	    LDFLAGS="$(SANITIZERS)" $(BIN)/python setup.py --quiet build_ext --inplace --force
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	    WHENCE_FUZZ_FORKS=0 \
	    WHENCE_ENGINE=c $(BIN)/python -m pytest --numprocesses=0 --capture=sys \
	    --timeout=1200 $(TESTS)
	$(BIN)/python setup.py --quiet build_ext --inplace --force

demo: $(VENV)/ready
	$(BIN)/whence demo --dashboard

# On every Python that is there, each with a venv of its own: some twenty minutes for each.
bench:
	@for python in $(PYTHONS); do \
	    $(MAKE) --no-print-directory PYTHON=$$python VENV=.venv-$${python##*/} measure || exit; \
	done

measure: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks --loop asyncio,uvloop
	$(BIN)/python -m benchmarks.export
	$(BIN)/python -m benchmarks.startup
	if command -v valgrind >/dev/null; then $(BIN)/python -m benchmarks.instructions; fi

# Older versions of pip know no dependency groups.
$(VENV)/ready: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $@

clean:
	rm -rf $(VENV) .venv-* build dist *.egg-info
