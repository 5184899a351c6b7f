# Two commands do everything: `make run` opens the app, `make test` checks it. Each sets up what it needs in .venv.

PYTHON ?= python3
PORT ?= 8501
ADDRESS ?= localhost
BIN := .venv/bin

# Folders that the Catalog page may read by path, separated by colons; set it to nothing to allow uploads only. By
# itself it is set only where nobody but this machine can reach the app.
ifneq (,$(filter $(ADDRESS),localhost 127.0.0.1 ::1))
export FILAMENT_DATA_DIRS ?= $(HOME):$(abspath ..)
endif

.PHONY: run test test-slow benchmark lint format browser clean

run: .venv/run-ready
	$(BIN)/streamlit run app.py --server.port $(PORT) --server.address $(ADDRESS)

test: .venv/test-ready browser
	$(BIN)/python -m pytest -m "not slow and not benchmark"

test-slow: .venv/test-ready browser
	$(BIN)/python -m pytest -m "slow and not benchmark"

benchmark: .venv/test-ready
	$(BIN)/python -m pytest -m benchmark -s tests/benchmarks

lint: .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/test-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The browser tests want a Chromium: one on PATH, else Playwright's own, else Debian's package. If none can be had
# the tests themselves fail and say what to install.
browser: .venv/test-ready
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	  $(BIN)/playwright install chromium || \
	  { apt-get update && apt-get install --yes chromium; } || \
	  echo "No Chromium could be installed; the browser tests will say what to do."

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Filament needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

.venv/run-ready: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	$(BIN)/python -m gnnlib graph sample --radius 3 > /dev/null  # compiles the neighbour search once
	touch $@

.venv/test-ready: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	touch $@ .venv/run-ready

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
