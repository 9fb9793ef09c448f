# Each target makes the virtual environment it needs by itself, and remakes it when pyproject.toml changes.
#
#   make demo               a small site with assets on disk, in a bucket and on a CDN
#   make test               every test; what a missing program would have proved is skipped and named
#   make lint               ruff and mypy
#   make coverage           every test, and which lines and branches none of them reaches
#   make bench              the measurements of benchmarks/
#   make soak               the soak tests for SOAK_SECONDS each (120: ten minutes in all)
#   make test-localstack    the S3 tests against LocalStack, without Docker
#   make clean              remove the environments and what the tools left
#
# PYTHON=python3.13 chooses the interpreter; ARGS="-k ranges" goes to pytest.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
SOAK_SECONDS ?= 120

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint coverage bench soak test-localstack servers clean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

demo: $(VENV)/.demo
	@$(VENV)/bin/python -m examples.demo $(ARGS)

test: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest $(ARGS)

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

coverage: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest --cov --cov-report=term-missing $(ARGS)

bench: $(VENV)/.bench
	@$(VENV)/bin/python -m benchmarks $(ARGS)

soak: $(VENV)/.dev
	@SOAK_SECONDS=$(SOAK_SECONDS) $(VENV)/bin/python -m pytest -m soak --timeout=0 $(ARGS)

test-localstack: $(VENV)/.dev
	@localstack/run --install
	@$(VENV)/bin/python -m pytest -m localstack $(ARGS)

# The S3 servers that the tests use where they are there, each in an environment of its own.
servers: .venv-swift/.ready
	@localstack/run --install

clean:
	rm -rf $(VENV) .venv-localstack .venv-swift .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# .venv/.dev is the environment once the extra `dev` is in it; so for every other extra. Pip is told
# to speak of errors only. s3fs allows few releases of boto3: asked for first, they are found at once;
# asked for beside everything else, pip tries one release after another for minutes.
$(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	@echo "installing assetstore[$*] into $(VENV) ..."
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -e '.[s3,s3fs]'
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check -e '.[$*]'
	@touch $@

.venv-swift/.ready: localstack/swift-requirements.txt
	@$(MAKE) --no-print-directory VENV=.venv-swift .venv-swift/bin/python
	@echo "installing Swift into .venv-swift ..."
	@.venv-swift/bin/python -m pip install -qq --disable-pip-version-check -r localstack/swift-requirements.txt
	@touch $@

define LOOK_AT_PYTHON
import importlib.util, sys
if sys.version_info < (3, 11):
    sys.exit(f"assetstore needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}; "
             "name another: make PYTHON=python3.12 ...")
if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
    sys.exit(f"{sys.executable} cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")
endef
export LOOK_AT_PYTHON

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON); name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c "$$LOOK_AT_PYTHON"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@# Debian's pip cannot resolve what the newest one can; without a network it has to do.
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip || true
