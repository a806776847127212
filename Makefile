# The whole developer interface; CI calls the same targets. `make` lists them.
# Everything is installed into .venv/ when it is first needed, and again when a lock file changes.

PYTHON ?= python3
export DATASET ?=
BIN := .venv/bin
PIP_AUDIT := 2.10.1
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup setup-dev repro repro-all stale audit verify summary ui test test-slow campaigns fuzz check check-packages bench bench-quick format lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s%s\n", $$1, $$2 }' Makefile

setup: .venv/installed  ## make .venv/ and install what requirements.lock pins

setup-dev: .venv/installed-dev  ## also install the tools that requirements-dev.lock pins

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Error: python: %d.%d is too old; set PYTHON to 3.11 or newer, as in: make repro PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.lock
	@touch $@

repro: setup  ## run the pipeline of every dataset whose rows can be had, or of DATASET=name
	@$(BIN)/retrain repro $${DATASET:+"$$DATASET"}

repro-all: setup  ## run the pipeline of every dataset, and fail where one can't be had
	@$(BIN)/dvc repro

verify: setup  ## run the committed results again from nothing, of every dataset or of DATASET=name, and compare
	@$(BIN)/retrain verify $${DATASET:+"$$DATASET"}

summary: setup  ## print what the last runs changed, as Markdown
	@printf 'Metrics, in the last commit and now:\n\n'
	@$(BIN)/dvc metrics diff --all --md
	@printf 'Plots:\n\n'
	@ls reports/*/plots/* 2> /dev/null | sed 's/.*/- `&`/'
	@printf '\n'
	@$(BIN)/retrain curves
	@printf 'Runs: `make ui`, and open the address that it prints\n'

stale: setup  ## say whether dvc.lock is stale; runs nothing and needs no data
	@$(BIN)/retrain audit --stale

audit: setup  ## see what the stages read, and compare it with dvc.yaml; or of DATASET=name
	@$(BIN)/retrain audit $${DATASET:+"$$DATASET"}

ui: setup  ## serve the runs in MLflow on 127.0.0.1:5000, or on PORT=number
	@$(BIN)/retrain ui --port $${PORT:-5000}

# Three processes for two cores: many tests wait for a server, a lock or a disk. Who has none left takes some of another's.
test: setup-dev  ## run all tests
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

test-slow: setup-dev  ## run the end-to-end tests alone
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m slow

campaigns: setup-dev  ## search long for failures (kills, damaged inputs, full disks) and print what was tried
	$(BIN)/python -m pytest --numprocesses 2 -m campaign -rP

fuzz: setup-dev  ## fuzz a model's files and params.yaml, each for a minute, or for FUZZ_SECONDS=number
	$(BIN)/python -m support.fuzz --seconds $${FUZZ_SECONDS:-60} --seed 1

bench: setup benchmarks/.venv/installed  ## measure speed and accuracy beside fastText and others (AG_NEWS_DIR=folder)
	@$(BIN)/python benchmarks/bench.py

bench-quick: setup benchmarks/.venv/installed  ## the same comparison with fastText in two minutes; writes nothing
	@$(BIN)/python benchmarks/bench.py --quick

benchmarks/.venv/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --requirement benchmarks/requirements.txt
	@touch $@

check: setup-dev  ## check format, lint and types; changes nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

check-packages: .audit/pip-audit-$(PIP_AUDIT)  ## look for known vulnerabilities of the pinned packages (needs PyPI)
	@.audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
		--requirement requirements.lock --requirement requirements-dev.lock 2> .audit/said; status=$$?; \
	if grep -q '^Traceback' .audit/said; then \
		tail -n 1 .audit/said | sed 's/.*/Error: packages: PyPI does not answer (&); check the network and try again/' >&2; \
	else grep -v '^WARNING' .audit/said >&2; fi; exit $$status

# In an environment of its own: what it needs must not decide what the project gets.
.audit/pip-audit-$(PIP_AUDIT):
	rm -rf .audit
	$(PYTHON) -m venv .audit
	.audit/bin/python -m pip install --quiet pip-audit==$(PIP_AUDIT)
	@touch $@

format: setup-dev  ## format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: setup-dev  ## resolve pyproject.toml into the two lock files again
	$(BIN)/uv pip compile --quiet pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove the environment and the caches of tools; data, models, reports and runs stay
	rm -rf .venv .audit build .mypy_cache .pytest_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
