# `make run` and `make test` need Linux, Python 3.11 to 3.13, make and your package registries; nothing else.

PYTHON ?= python3
UV_VERSION := 0.13.9
# a company's own certificate authority stands in the system's store, which uv reads only when asked
UV_INSTALL = $(BIN)/uv pip install --quiet --system-certs
BIN := .venv/bin
READY := .venv/.ready
# tests run on every core already; threads of one test would only wait for another's
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
# what a change breaks most often, in a minute: names, settings, the contract, policies, docs
FAST_TESTS := tests/test_architecture.py tests/test_docs.py tests/components/settings tests/components/contract \
	tests/components/policies tests/components/workflow/test_stage_graph.py
# containers often forbid bytecode; then every command would compile TensorFlow and Prefect anew, 20 seconds each
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test check quickest setup data repro lint ui peers clean help

run: data            ## build the data if needed, run all stages on both data sets, show a summary
	$(BIN)/adloom run

test: $(READY)       ## every test, on all cores; each file on one core
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses auto --dist loadfile

setup: $(READY)      ## create the environment, inside the project

data: $(READY)       ## build the two data sets that come with Adloom
	$(BIN)/adloom data build

repro: data          ## run the same stages through DVC
	$(BIN)/dvc repro
	git diff --exit-code data.dvc

check: $(READY)      ## the fast loop: style, types, and the tests of the lower packages and of docs
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint quickest

quickest: $(READY)   # on the other cores while mypy, which uses one, checks the types
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow" $(FAST_TESTS)

lint: $(READY)       ## check style, names and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

ui: $(READY)         ## serve the Prefect and MLflow pages, on loopback
	$(BIN)/adloom ui

peers: $(READY)      ## packages that benchmarks compare with, in a separate environment
	$(BIN)/uv venv --quiet --allow-existing --python $(PYTHON) .adloom/peers
	$(UV_INSTALL) --python .adloom/peers/bin/python --no-deps -r benchmarks/peers/requirements.txt

clean:               ## delete everything that these targets made, data included
	rm -rf .venv artifacts data .adloom ads .pytest_cache .ruff_cache .hypothesis *.egg-info

help:                ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | column -t -s "$$(printf '\t')"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and f"Adloom needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=.venv $(UV_INSTALL) --requirement requirements.lock
	VIRTUAL_ENV=.venv $(UV_INSTALL) --no-deps --editable .
	@touch $(READY)
