# make demo    sets up .venv and runs the pooling study    make test   sets up and runs every test
# make lint    format, lint and types                      make bench  speed and memory against others, as ratios
# make native-check    the native part under sanitisers    make audit   advisories on what is installed, and licences
# make docs    the documentation as a site, into build/docs; a warning is an error
# make notebooks    runs the notebooks in place, in minutes; JAXDL_NOTEBOOK_WEIGHTS=/PATH for the pretrained part
# make test-lowest test-newest test-wheel    every test in random order: on the lowest and the newest versions of what
#                                            pyproject.toml asks for, and from the wheel; SEED=N repeats an order
# make test-faults   a hundred kills, every damage to every file of a workdir, ten times the hostile files
# EXTRAS=cuda12 (or cuda13) adds that plugin: make demo EXTRAS=cuda12

PYTHON ?= python3
EXTRAS ?=
, := ,
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SEED := $(or $(SEED),$(shell date +%s))
ALL_EXTRAS := decode$(,)dev$(,)docs$(,)hf$(,)notebook$(,)onednn$(,)serve$(,)tensorboard$(,)wandb
RESOLUTION_lowest := lowest-direct
RESOLUTION_newest := highest

.PHONY: setup demo test test-lowest test-newest test-wheel test-faults lint bench docs notebooks native-check audit clean

setup: .venv/.extras-decode$(,)onednn$(EXTRAS:%=$(,)%)

demo: setup
	$(BIN)/python -m jaxdl.main --experiment=pooling

test: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/.parity
	$(BIN)/python -m pytest

test-lowest test-newest: test-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest --random-order --random-order-seed=$(SEED)

# The tests alone in a folder of their own, so that what they import is what was installed.
test-wheel:
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --no-deps --wheel-dir .venv-wheel/dist .
	.venv-wheel/bin/python -m pip install --quiet --constraint constraints.txt \
	  "$$(echo .venv-wheel/dist/jaxdl-*.whl)[$(ALL_EXTRAS)]"
	mkdir .venv-wheel/suite && cp -r tests pyproject.toml .venv-wheel/suite
	cd .venv-wheel/suite && ../bin/python -m jaxdl.native || true
	cd .venv-wheel/suite && ../bin/python -m pytest --random-order --random-order-seed=$(SEED)

test-faults: .venv/.extras-$(ALL_EXTRAS)
	KILLS=100 DAMAGED=all HOSTILE=10 $(BIN)/python -m pytest tests/system/killed_test.py tests/system/damaged_test.py tests/system/hostile_test.py tests/system/untrusted_test.py

lint: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: .venv/.extras-decode$(,)onednn$(,)parity
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.augment
	$(BIN)/python -m benchmarks.ensemble
	$(BIN)/python -m benchmarks.resnet

docs: .venv/.extras-docs
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file docs/site/mkdocs.yml

notebooks: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	$(BIN)/python tests/notebooks.py

native-check: setup
	$(BIN)/python tests/native/sanitizers.py

# Known weaknesses of what is installed, asked of PyPI's advisories, and the licence of all that a run needs. It fails
# where no advisories are to be had: nothing known is not the same as nobody asked.
audit: .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%) .venv/audit/bin/pip-audit
	$(BIN)/python tests/licences.py
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement constraints.txt

.venv/audit/bin/pip-audit:
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit

clean:
	rm -rf .venv .venv-lowest .venv-newest .venv-wheel build dist runs jaxdl/native/_native-*

# An empty file for each list of extras: set up again only when the project's own files have changed.
# The native part is built where there is a compiler; where not, its line says what that costs, and all works.
.venv/.extras-%: pyproject.toml constraints.txt $(wildcard jaxdl/native/*.cc jaxdl/native/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	$(BIN)/python -m jaxdl.native || true
	@touch $@

# What tests compare with: PyTorch for the CPU alone (on Linux other builds bring gigabytes), and timm, which needs
# nothing else that is not here already. Where there is no such build, those tests are skipped.
.venv/.parity: pyproject.toml constraints.txt | .venv/.extras-$(ALL_EXTRAS)$(EXTRAS:%=$(,)%)
	if $(PIP) '$(shell grep ^torch== constraints.txt)$(if $(filter Linux,$(shell uname)),+cpu)' \
	  && $(PIP) --no-deps timm torchvision; then touch $@; \
	else echo 'make: no PyTorch for the CPU is at hand: tests that compare with it are skipped'; fi

# No constraints: uv chooses the versions that the target is named after. `make clean` first finds what is new since.
.venv-lowest/.ready .venv-newest/.ready: .venv-%/.ready: pyproject.toml $(wildcard jaxdl/native/*.cc jaxdl/native/*.h)
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(@D)/bin/uv pip install --quiet --python $(@D)/bin/python --resolution $(RESOLUTION_$*) \
	  --editable '.[$(ALL_EXTRAS)]'
	$(@D)/bin/python -m jaxdl.native || true
	@touch $@
