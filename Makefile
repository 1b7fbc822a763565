# make demo    sets up .venv and runs the pooling study      make test   sets up and runs every test
# make lint    format, lint and types                        make bench  speed and memory against torch, as ratios
# EXTRAS=cuda12 (or cuda13) adds that plugin:                make demo EXTRAS=cuda12

PYTHON ?= python3
EXTRAS ?=
, := ,
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test lint bench clean

setup: .venv/.extras-$(or $(EXTRAS),none)

demo: setup
	$(BIN)/python -m jaxdl.main --experiment=pooling

test: .venv/.extras-dev$(EXTRAS:%=$(,)%)
	$(BIN)/python -m pytest

lint: .venv/.extras-dev$(EXTRAS:%=$(,)%)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: .venv/.extras-parity
	$(BIN)/python -m benchmarks.ensemble

clean:
	rm -rf .venv build dist runs

# An empty file for each list of extras: set up again only when the project's own files have changed.
.venv/.extras-%: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.$(patsubst %,[%],$(filter-out none,$*))'
	@touch $@
