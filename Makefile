# All commands for developers; CI calls the same targets. `make` lists them.
# Packages are installed into .venv/ when a target first needs them, and again when a lock file changes.

PYTHON ?= python3
export DATASET ?=
BIN := .venv/bin
PIP_AUDIT := 2.10.1
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup setup-dev repro repro-all compare reset doctor status stale audit verify summary ui test test-slow coverage stress campaigns fuzz docs check check-packages bench bench-quick bench-tables format lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s%s\n", $$1, $$2 }' Makefile

setup: .venv/installed  ## create .venv/ and install the packages of requirements.lock

setup-dev: .venv/installed-dev  ## also install the developer tools of requirements-dev.lock

# A .venv/ whose programs start with another path was made in a folder that has been renamed, moved or copied.
MOVED := $(shell [ ! -e $(BIN)/retrain ] || grep -qF "$(realpath .venv)/bin/python" $(BIN)/retrain || echo yes)
ifeq ($(MOVED),yes)
.venv/installed: moved
endif

# Installs the packages of a file and prints each of them; `every` limits the lines where the output is not a terminal.
define install
@packages=$$(grep -c == $(1)); [ -t 1 ] && every=1 end='\033[K\r' || { every=25; end='\n'; }; \
{ PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --progress-bar off --requirement $(1); echo $$? > .venv/status; } | \
	awk -v of="$$packages" -v every="$$every" -v end="$$end" \
	'/^Collecting/ { if (++n % every == 0 || n == of) { printf "  %d of %d: %s" end, n, of, $$2; fflush() } } \
	/^Installing collected/ { printf "  copying the packages into .venv/" end; fflush() } \
	END { if (every == 1) printf "\033[K" }'; \
exit $$(cat .venv/status)
endef

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Error: python: %d.%d is too old; set PYTHON to 3.11 or newer, as in: make repro PYTHON=python3.12" % sys.version_info[:2])'
	@echo "Installing the packages of requirements.lock into .venv/ (takes minutes, only the first time)"
	@$(PYTHON) -m venv $(if $(MOVED),--clear) .venv
	$(call install,requirements.lock)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: moved
moved:
	@echo ".venv/ was made in another folder: installing again"

.venv/installed-dev: .venv/installed requirements-dev.lock
	@echo "Installing the tools of requirements-dev.lock into .venv/"
	$(call install,requirements-dev.lock)
	@touch $@

repro: setup  ## run the pipeline of every available dataset, or of DATASET=name
	@$(BIN)/retrain repro $${DATASET:+"$$DATASET"}

repro-all: setup  ## run the pipeline of every dataset; fail if one is unavailable
	@$(BIN)/dvc repro

verify: setup  ## re-run the commit in a clean clone and compare (all datasets, or DATASET=name)
	@$(BIN)/retrain verify $${DATASET:+"$$DATASET"}

summary: setup  ## print the changed metrics and the loss curves as Markdown
	@printf 'Metrics that have changed, in the last commit and now:\n\n'
	@$(BIN)/dvc metrics diff --md
	@printf 'Plots:\n\n'
	@ls reports/*/plots/* 2> /dev/null | sed 's/.*/- `&`/'
	@printf '\n'
	@$(BIN)/retrain curves
	@printf 'Runs: `make ui`, and open the address that it prints\n'

status: setup  ## say whether dvc.lock is up to date (all datasets, or DATASET=name); needs no data
	@$(BIN)/retrain status $${DATASET:+"$$DATASET"}

audit: setup  ## check dvc.yaml against what the stages read (all datasets, or DATASET=name)
	@$(BIN)/retrain audit $${DATASET:+"$$DATASET"}

# DVC names a metric `reports/diabetes/metrics.json:test.rmse` where another dataset has one of the same name.
compare: setup  ## compare DVC experiments: changed parameters and test metrics
	@COLUMNS=1000 $(BIN)/dvc exp show --only-changed --drop '^(Created|data/|src/|models/|requirements)|^reports/[^:]*$$|^([^:]*:)?(baseline|intervals|near_duplicates|reference|reference_difference|uncalibrated)\.'

reset: setup  ## undo an experiment: take DATASET=name back to the last commit
	@$(BIN)/retrain reset "$$DATASET"

doctor: setup  ## print versions, device, disk, store, remote and data
	@$(BIN)/retrain doctor

ui: setup  ## open the runs in MLflow on 127.0.0.1:5000, or on PORT=number
	@exec $(BIN)/retrain ui --port $${PORT:-5000}

# At least four processes: many tests wait for a server, a lock or a disk. A process that runs out of tests takes some from another.
test: setup-dev  ## run all tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slow: setup-dev  ## run only the end-to-end tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m slow

stress: setup-dev  ## run the long stress tests (kills, damaged inputs, full disks) and print what they tried
	$(BIN)/python -m pytest --numprocesses 2 -m campaign -rP

coverage: setup-dev  ## run the tests that are not slow, and print how much of src/ they cover
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow and not campaign" --cov --cov-report=term-missing:skip-covered

docs: setup  ## write docs/reference/params.md and cli.md from the code
	@$(BIN)/python docs/generate.py

fuzz: setup-dev  ## fuzz model files and params.yaml for a minute each, or for FUZZ_SECONDS=number
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(BIN)/python -m pytest tests/hostile/test_fuzz.py -m campaign -rP

bench: setup benchmarks/.venv/installed  ## compare speed and accuracy with fastText and others (AG_NEWS_DIR=folder)
	@$(BIN)/python benchmarks/bench.py

bench-quick: setup benchmarks/.venv/installed  ## compare with fastText in two minutes; writes nothing
	@$(BIN)/python benchmarks/bench.py --quick

bench-tables: setup benchmarks/.venv-tables/installed  ## compare with scikit-learn and LightGBM on real tables (TABLES_DIR=folder, ARGS="--seeds 1")
	@$(BIN)/python benchmarks/tables.py $(ARGS)

benchmarks/.venv-tables/installed: benchmarks/requirements-tables.txt
	$(PYTHON) -m venv benchmarks/.venv-tables
	benchmarks/.venv-tables/bin/python -m pip install --quiet --requirement benchmarks/requirements-tables.txt
	@touch $@

benchmarks/.venv/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt
	@touch $@

check: setup-dev  ## check format, lint and types; change nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

check-packages: .audit/pip-audit-$(PIP_AUDIT)  ## look for known vulnerabilities in the pinned packages (needs PyPI)
	@.audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
		--requirement requirements.lock --requirement requirements-dev.lock 2> .audit/stderr; status=$$?; \
	if grep -q '^Traceback' .audit/stderr; then \
		tail -n 1 .audit/stderr | sed 's/.*/Error: packages: PyPI does not answer (&); check the network and try again/' >&2; \
	else grep -v '^WARNING' .audit/stderr >&2; fi; exit $$status

# In its own environment: its dependencies must not influence those of the project.
.audit/pip-audit-$(PIP_AUDIT):
	rm -rf .audit
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet pip-audit==$(PIP_AUDIT)
	@touch $@

format: setup-dev  ## format the code and apply ruff's automatic fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: setup-dev  ## resolve pyproject.toml into the two lock files
	$(BIN)/uv pip compile --quiet pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove the environment and tool caches; keep data, models, reports and runs
	rm -rf .venv .audit build .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Former names.
stale: status
campaigns: stress
