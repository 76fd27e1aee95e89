# make run      set up and start the proxy with the simulator on port 33333
# make test     set up and run every test, file by file on several processors; options by PYTEST="-k ledger"
# make test-languages  the clients of docs/languages.md that fetch and build a lot: Java's SDK, gRPC in Go
# make test-soak       ten minutes of fifty clients that do as they please, for nine seeds
# make test-start      follow docs/start.md to the letter, its installation included
# make bench    set up and run the benchmark table; options by BENCH="--rounds 9"
# make binary   build dist/opendmux, one executable for machines without Python, and try it
# make package  build and try the source distribution and a wheel, in dist/
# make docs     build the documentation's site into build/docs; every warning is an error
# make lint     ruff, mypy, cython-lint, and whether generated files are up to date

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := tests/e2e/node
PYTEST ?= -n auto --maxprocesses 4 --dist loadfile
MADE := $(patsubst %.pyx,%.c,$(wildcard _native/*.pyx))
SOURCES := pyproject.toml setup.py $(filter-out $(MADE),$(wildcard _native/*.pyx _native/*.pxd _native/*.c _native/*.h))

.PHONY: run ready test test-ready test-languages test-soak test-start bench binary package docs lint generated clean

run: $(VENV)/.run-ready
	$(BIN)/python -m opendmux --upstream sim

# What most of the others need, and what the tests need beyond it.
ready: $(VENV)/.test-ready

test-ready: $(VENV)/.test-ready $(VENV)-json/.ready $(NODE)/node_modules/.ready

test: test-ready
	$(BIN)/python -m pytest $(PYTEST)

test-languages: $(VENV)/.test-ready $(NODE)/node_modules/.ready
	TEST_LANGUAGES=1 $(BIN)/python -m pytest tests/e2e/test_languages.py --timeout 1000

test-soak: $(VENV)/.test-ready
	TEST_SOAK=1 $(BIN)/python -m pytest tests/runtime/test_soak.py --timeout 600

test-start: $(VENV)/.test-ready
	TEST_START=1 $(BIN)/python -m pytest tests/e2e/test_start_page.py

bench: $(VENV)/.test-ready
	$(BIN)/python bench/run.py $(BENCH)

# What is imported lazily, or by compiled modules, has to be named; `deploy/entry.py` is the command line. Left out are
# modules that nothing uses and that would bring libraries under the GPL with them.
PYINSTALLER := --log-level WARN --noconfirm --onefile --name opendmux --collect-all opendmux \
	--collect-submodules google._upb --collect-submodules rich --collect-data tzdata --hidden-import prometheus_client \
	--exclude-module readline --exclude-module _gdbm --exclude-module _dbm --exclude-module tkinter \
	--exclude-module setuptools --exclude-module pkg_resources \
	--workpath build/binary --specpath build/binary --distpath dist

binary: $(VENV)-binary/.ready $(VENV)/.test-ready
	$(VENV)-binary/bin/python -m pip install --quiet --disable-pip-version-check .
	$(VENV)-binary/bin/pyinstaller $(PYINSTALLER) deploy/entry.py
	$(VENV)-binary/bin/python deploy/notices.py dist/opendmux dist/opendmux-notices.txt
	$(BIN)/python deploy/smoke.py dist/opendmux
	BINARY_UNDER_TEST=dist/opendmux $(BIN)/python -m pytest -q -p no:cacheprovider tests/deploy/test_binary.py

# The source distribution, and a wheel that is made of it and nothing else; both are installed where nothing else is.
package: $(VENV)-package/.ready
	$(VENV)-package/bin/python deploy/package.py dist

docs: $(VENV)/.test-ready
	$(BIN)/sphinx-build -q -W --keep-going -n -b html -d build/docs-cache docs build/docs
	@echo "the site begins with build/docs/index.html"

lint: $(VENV)/.test-ready generated
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint _native/*.pyx _native/*.pxd

generated: $(VENV)/.test-ready
	$(BIN)/python _native/gen_tables.py --check
	$(BIN)/python proto/gen_pb.py --check
	$(BIN)/python docs/gen_config.py --check
	$(BIN)/python docs/gen_cli.py --check
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

$(VENV)-binary/.ready: Makefile
	$(PYTHON) -m venv $(VENV)-binary
	$(VENV)-binary/bin/python -m pip install --quiet --disable-pip-version-check 'pyinstaller>=6.16,<7' tzdata
	touch $@

$(VENV)-package/.ready: Makefile
	$(PYTHON) -m venv $(VENV)-package
	$(VENV)-package/bin/python -m pip install --quiet --disable-pip-version-check 'build>=1.2' 'twine>=6' 'pipx>=1.7'
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Everything that is ignored by git, but for deploy/secrets.
clean:
	find . \( -name __pycache__ -o -name node_modules -o -name '*.egg-info' \) -prune -exec rm -rf {} +
	rm -rf $(VENV) $(VENV)-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis .coverage*
	rm -f src/opendmux/native/*.so src/opendmux/native/*.pyd _native/*.html
	rm -f $(MADE)
