# make demo          set up .venv and run the pooling study
# make test          unit and engine tests, in minutes
# make test-all      every test: also processes, kills, browsers, wheels, notebooks
# make lint          format, lint, types, import layers
# make bench         speed and memory against other libraries, as ratios
# make docs          write the reference from the code, and build the documentation into
#                    build/docs; a warning is an error
# make notebooks     run the notebooks in place; JAXDL_NOTEBOOK_WEIGHTS=FILE for the pretrained part
# make native-check  native operations under the sanitizers
# make audit         advisories and licences of the installed packages
# make test-lowest   every test in random order on the lowest allowed versions; SEED=N repeats it
# make test-newest   the same on the newest versions
# make parity        measure every architecture against PyTorch, and write the table of docs/port.md
# make test-wheel    the same from the wheel
# make test-onnx     export to ONNX, in an environment of its own
# make test-faults   100 kills, every kind of damage to every file of a workdir, more hostile files
# EXTRAS=cuda12 (or cuda13) adds that plugin: make demo EXTRAS=cuda12

PYTHON ?= python3
EXTRAS ?=
, := ,
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SEED := $(or $(SEED),$(shell date +%s))
ALL_EXTRAS := backbones$(,)decode$(,)dev$(,)docs$(,)hf$(,)notebook$(,)onednn$(,)serve$(,)tables$(,)tensorboard$(,)wandb
RESOLUTION_lowest := lowest-direct
RESOLUTION_newest := highest

.PHONY: setup demo test test-all test-lowest test-newest test-wheel test-onnx test-faults lint
.PHONY: bench docs notebooks native-check audit parity clean

setup: .venv/.extras-backbones$(,)decode$(,)onednn$(EXTRAS:%=$(,)%)

demo: setup
	$(BIN)/python -m jaxdl.main --experiment=pooling

test: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/.parity
	$(BIN)/python -m pytest -m 'not system'

test-all: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/.parity
	$(BIN)/python -m pytest

test-lowest test-newest: test-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest --random-order --random-order-seed=$(SEED)

# The tests run from a folder of their own, so that they import the installed wheel.
test-wheel:
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --no-deps --wheel-dir .venv-wheel/dist .
	.venv-wheel/bin/python -m pip install --quiet --constraint constraints.txt \
	  "$$(echo .venv-wheel/dist/jaxdl-*.whl)[$(ALL_EXTRAS)]"
	mkdir .venv-wheel/suite && cp -r tests pyproject.toml .venv-wheel/suite
	cd .venv-wheel/suite && ../bin/python -m jaxdl.native || true
	cd .venv-wheel/suite && ../bin/python -m pytest --random-order --random-order-seed=$(SEED)

# jax2onnx needs an older orbax-checkpoint than constraints.txt names.
test-onnx: .venv-onnx/.ready
	.venv-onnx/bin/python -m pytest -m '' tests/inference/onnx_test.py \
	  tests/ablation/member_networks_test.py

test-faults: .venv/.extras-$(ALL_EXTRAS)
	KILLS=100 DAMAGED=all HOSTILE=10 $(BIN)/python -m pytest \
	  $(addprefix tests/system/,killed_test.py damaged_workdirs_test.py damaged_inputs_test.py \
	  untrusted_test.py)

lint: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: .venv/.extras-decode$(,)onednn$(,)parity
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.augment
	$(BIN)/python -m benchmarks.ensemble
	$(BIN)/python -m benchmarks.networks

docs: .venv/.extras-docs
	PYTHONPATH=. $(BIN)/python docs/site/reference.py
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build \
	  --strict --config-file docs/site/mkdocs.yml

parity: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/.parity
	PYTHONPATH=. $(BIN)/python tests/support/parity.py

notebooks: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	$(BIN)/python tests/support/notebooks.py

native-check: setup
	$(BIN)/python tests/native/sanitizers.py

# Security advisories of the installed packages, and licences of all run-time dependencies.
# Fails if no advisory service answers.
audit: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/audit/bin/pip-audit
	$(BIN)/python tests/support/licences.py
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
	  --requirement constraints.txt

.venv/audit/bin/pip-audit:
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit

clean:
	rm -rf .venv .venv-lowest .venv-newest .venv-onnx .venv-wheel build dist runs jaxdl/native/_native-*

# One marker file per list of extras: set up again only if the project's files have changed.
# The native operations are built if there is a compiler; without them everything works, slower.
.venv/.extras-%: pyproject.toml constraints.txt $(wildcard jaxdl/native/*.cc jaxdl/native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	$(BIN)/python -m jaxdl.native || true
	@touch $@

# References of the parity tests: the CPU build of PyTorch (other builds take gigabytes), timm and
# torchvision without dependencies. Without them the parity tests are skipped.
.venv/.parity: pyproject.toml constraints.txt | .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	if $(PIP) '$(shell grep ^torch== constraints.txt)$(if $(filter Linux,$(shell uname)),+cpu)' \
	  && $(PIP) --no-deps timm torchvision; then touch $@; \
	else echo 'make: no CPU build of PyTorch: parity tests are skipped'; fi

.venv-onnx/.ready: pyproject.toml
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[backbones,dev,onnx]'
	@touch $@

# Without constraints: uv chooses the versions. Run `make clean` first to look for newer versions.
.venv-lowest/.ready .venv-newest/.ready: .venv-%/.ready: pyproject.toml $(wildcard jaxdl/native/*.cc jaxdl/native/*.h)
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --resolution $(RESOLUTION_$*) \
	  --editable '.[$(ALL_EXTRAS)]'
	$(@D)/bin/python -m jaxdl.native || true
	@touch $@
