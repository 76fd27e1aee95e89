# make run    set up and start the proxy with the simulator on port 33333
# make test   set up and run every test, file by file on several processors; options by PYTEST="-k ledger"
# make bench  set up and run the benchmark table; options by BENCH="--rounds 9"
# make binary build dist/opendmux, one executable for machines without Python, and try it
# make docs   build the documentation's site into build/docs; every warning is an error
# make lint   ruff, mypy, cython-lint, and whether generated files are up to date

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/e2e/node
PYTEST ?= -n auto --maxprocesses 4 --dist loadfile
SOURCES := pyproject.toml setup.py $(wildcard _native/*.pyx _native/*.pxd _native/*.c _native/*.h)

.PHONY: run test bench binary docs lint generated clean

run: $(VENV)/.run-ready
	$(BIN)/python -m opendmux --upstream sim

test: $(VENV)/.test-ready $(VENV)-json/.ready $(NODE)/node_modules/.ready
	$(BIN)/python -m pytest $(PYTEST)

bench: $(VENV)/.test-ready
	$(BIN)/python bench/run.py $(BENCH)

# What is imported lazily, or by compiled modules, has to be named; `deploy/entry.py` is the command line.
binary: $(VENV)-binary/.ready
	$(VENV)-binary/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	$(VENV)-binary/bin/pyinstaller --log-level WARN --noconfirm --onefile --name opendmux --collect-all opendmux \
		--collect-submodules prometheus_client --collect-submodules google._upb \
		--workpath build/binary --specpath build/binary --distpath dist deploy/entry.py
	$(VENV)-binary/bin/python deploy/smoke.py dist/opendmux

docs: $(VENV)/.test-ready
	$(BIN)/sphinx-build -q -W --keep-going -n -b html -d build/docs-cache docs build/docs

lint: $(VENV)/.test-ready generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint _native/*.pyx _native/*.pxd

generated: $(VENV)/.test-ready
	$(BIN)/python _native/gen_tables.py --check
	$(BIN)/python proto/gen_pb.py --check
	$(BIN)/python docs/gen_config.py --check
	$(BIN)/python docs/gen_metrics.py --check

# An editable install builds the compiled modules in place; it is repeated when their sources change.
$(VENV)/.run-ready: $(SOURCES) | $(VENV)/bin/python
	@echo "setting up $(VENV): compiling the native parts, fetching packages; about a minute, the first time only"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test-ready: $(SOURCES) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,sdk,docs]'
	touch $@ $(VENV)/.run-ready

# The SDK's JSON mode works with no newer protobuf than 6; the tests of it have an environment of their own.
$(VENV)-json/.ready:
	$(PYTHON) -m venv $(VENV)-json
	$(VENV)-json/bin/python -m pip install --quiet --disable-pip-version-check 'futu-api>=10.11,<10.12' 'protobuf==5.29.*'
	touch $@

# The official clients of Node, gRPC's and OpenD's own, for the end-to-end tests.
$(NODE)/node_modules/.ready: $(NODE)/package.json $(NODE)/package-lock.json
	cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

$(VENV)-binary/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-binary
	$(VENV)-binary/bin/python -m pip install --quiet --disable-pip-version-check 'pyinstaller>=6.16,<7' .
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) $(VENV)-json $(VENV)-binary $(NODE)/node_modules build dist src/opendmux/native/*.so _native/_framing.c _native/_scan.c _native/_switch.c _native/_load.c
