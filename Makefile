# make demo    sets up .venv and runs the pooling study    make test   sets up and runs every test
# make lint    format, lint and types                      make bench  speed and memory against others, as ratios
# make native-check    the native part under sanitisers    make audit   advisories on what is installed, and licences
# EXTRAS=cuda12 (or cuda13) adds that plugin: make demo EXTRAS=cuda12

PYTHON ?= python3
EXTRAS ?=
, := ,
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test lint bench native-check audit clean

setup: .venv/.extras-decode$(,)onednn$(EXTRAS:%=$(,)%)

demo: setup
	$(BIN)/python -m jaxdl.main --experiment=pooling

test: .venv/.extras-decode$(,)dev$(,)hf$(,)onednn$(,)tensorboard$(EXTRAS:%=$(,)%) .venv/.parity
	$(BIN)/python -m pytest

lint: .venv/.extras-decode$(,)dev$(,)hf$(,)onednn$(,)tensorboard$(EXTRAS:%=$(,)%)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: .venv/.extras-decode$(,)onednn$(,)parity
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.augment
	$(BIN)/python -m benchmarks.ensemble
	$(BIN)/python -m benchmarks.resnet

native-check: setup
	$(BIN)/python native/check.py

# Known weaknesses of what is installed, asked of PyPI's advisories, and the licence of all that a run needs. It fails
# where no advisories are to be had: nothing known is not the same as nobody asked.
audit: .venv/.extras-decode$(,)dev$(,)hf$(,)onednn$(,)tensorboard$(EXTRAS:%=$(,)%) .venv/audit/bin/pip-audit
	$(BIN)/python tests/licences.py
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement constraints.txt

.venv/audit/bin/pip-audit:
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit

clean:
	rm -rf .venv build dist runs jaxdl/_native-*

# An empty file for each list of extras: set up again only when the project's own files have changed.
# The native part is built where there is a compiler; where not, its line says what that costs, and all works.
.venv/.extras-%: pyproject.toml constraints.txt $(wildcard native/*.cc native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	$(BIN)/python -m jaxdl.native || true
	@touch $@

# What tests compare with: PyTorch for the CPU alone (on Linux other builds bring gigabytes), and timm, which needs
# nothing else that is not here already. Where there is no such build, those tests are skipped.
.venv/.parity: pyproject.toml constraints.txt | .venv/.extras-decode$(,)dev$(,)hf$(,)onednn$(,)tensorboard$(EXTRAS:%=$(,)%)
	if $(PIP) '$(shell grep ^torch== constraints.txt)$(if $(filter Linux,$(shell uname)),+cpu)' \
	  && $(PIP) --no-deps timm torchvision; then touch $@; \
	else echo 'make: no PyTorch for the CPU is at hand: tests that compare with it are skipped'; fi
