# Each target makes the virtual environment it needs by itself, and remakes it when pyproject.toml or a pin changes.
#
#   make demo               a small site with assets on disk, in a bucket and on a CDN
#   make test               every test; what a missing program would have proved is skipped and named
#   make lint               ruff, mypy, and actionlint for the workflows
#   make coverage           every test, and which lines and branches none of them reaches
#   make docs               the documentation site with its pictures into site/; a dead link, a missing image or an
#                           undocumented name is an error
#   make docs-serve         the same at http://127.0.0.1:8000, rebuilt when a page is saved
#   make docs-reference     write the pages of the command line and of static()'s options anew from the code
#   make docs-fresh         try every page of the site in a new environment each, as a new user would
#   make build              wheel and source distribution into dist/, checked
#   make test-core          the tests that need no program, no S3 server and no browser
#   make test-lowest        those, with the lowest versions that pyproject.toml allows
#   make wheels             whether all that assetstore can need has wheels for Python 3.14 on Linux, macOS and Windows
#   make test-localstack    the S3 tests against LocalStack, without Docker
#   make storage-table      docs/reference/storages.md from the results of the contract tests
#   make bench              the measurements of benchmarks/
#   make figures            the tables of the performance page and the README from the last results
#   make real-trees         publish the static files of some thirty packages of PyPI and npm, references rewritten
#   make soak               each server over each storage under load, for SOAK_SECONDS each (600: two hours in all)
#   make lock               newest versions into the pins in requirements/
#   make clean              remove the environments and what the tools left
#
# PYTHON=python3.13 chooses the interpreter; ARGS="-k ranges" goes to pytest; WORKERS=0 runs it in one process.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 4
SOAK_SECONDS ?= 600
# Where it is set (many container images), each of some hundred processes would compile all that it imports anew:
# 1.6 s instead of 0.7 s of CPU for a server with boto3.
unexport PYTHONDONTWRITEBYTECODE

MERMAID = 11.12.0
AXE = 4.11.0
PARALLEL = -n $(WORKERS) --dist loadgroup
# A variable, since a comma would part the arguments of a call.
PACKAGE = -c requirements/dev.txt -e '.[all,s3fs]'
CORE = -m 'not localstack and not soak'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint coverage docs docs-tools docs-fresh docs-reference docs-serve build test-core test-lowest wheels test-localstack storage-table bench figures real-trees soak lock servers clean

help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

demo: $(VENV)/.demo
	@$(VENV)/bin/python -m examples.demo $(ARGS)

test: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest $(PARALLEL) $(ARGS)

lint: $(VENV)/.dev
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/actionlint .github/workflows/*.yml

coverage: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest $(PARALLEL) --cov --cov-report=term-missing $(ARGS)

docs: site/.built

# What building the site needs; the test that looks at every page builds it.
docs-tools: .venv-docs/.ready docs/javascripts/mermaid.min.js

# Whatever the site is made of: it is built again when something of it is newer.
SITE = mkdocs.yml $(shell find docs assetstore examples/proxies -type f -not -path '*/__pycache__/*')
SCREENSHOTS = docs/images/tutorial-teal.png docs/images/tutorial-crimson.png

site/.built: .venv-docs/.ready docs/javascripts/mermaid.min.js $(SCREENSHOTS) $(SITE)
	@# With --quiet, warnings would not be counted: strict would let dead links through.
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict 2>.venv-docs/log || { grep -v '^INFO' .venv-docs/log; exit 1; }
	@touch $@

$(SCREENSHOTS) &: docs/tutorial/index.md tests/support/screenshots.py | $(VENV)/.dev
	@PYTHONPATH=.:tests/support $(VENV)/bin/python -m screenshots

docs-fresh: $(VENV)/.dev
	@PYTHONPATH=.:tests/support $(VENV)/bin/python -m fresh_docs $(ARGS)

docs-reference: $(VENV)/.dev
	@PYTHONPATH=.:tests/support $(VENV)/bin/python -m cli_reference
	@PYTHONPATH=.:tests/support $(VENV)/bin/python -m options_reference

docs-serve: .venv-docs/.ready docs/javascripts/mermaid.min.js $(SCREENSHOTS)
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve

build: $(VENV)/.dev
	@rm -rf dist
	@$(VENV)/bin/python -m build --no-isolation >/dev/null
	@$(VENV)/bin/python -m twine check --strict dist/*

test-core: $(VENV)/.dev
	@CI= $(VENV)/bin/python -m pytest $(PARALLEL) $(CORE) $(ARGS)

# Starlette 1.0's TestClient needs httpx, later ones httpx2, which is in the group `dev`. Old versions beside new ones of
# what they need themselves warn of deprecations, which only the pinned environment is free of; test_testing.py starts a
# pytest that takes them for errors.
test-lowest: .venv-lowest/bin/python
	@.venv-lowest/bin/python -m uv pip install -q --python .venv-lowest --resolution lowest-direct -e '.[all,s3fs]' --group dev 'httpx>=0.27'
	@CI= .venv-lowest/bin/python -m pytest $(PARALLEL) $(CORE) -W default::DeprecationWarning -W default::FutureWarning \
		--deselect tests/examples/test_testing.py $(ARGS)

test-localstack: $(VENV)/.dev
	@localstack/run --install
	@$(VENV)/bin/python -m pytest -m localstack $(ARGS)

# Python 3.14 on each system, without a compiler: nothing is installed.
wheels: $(VENV)/bin/python
	@for system in linux aarch64-unknown-linux-gnu macos windows; do \
		$(VENV)/bin/python -m uv pip compile -q --python-version 3.14 --python-platform $$system --only-binary :all: \
			pyproject.toml --extra all >/dev/null && echo "$$system: done" || exit 1; \
	done

storage-table: $(VENV)/.dev
	@$(VENV)/bin/python -m pytest -q tests/backends/test_contract.py --storage-table docs/reference/storages.md $(ARGS)

bench: $(VENV)/.bench
	@$(VENV)/bin/python -m benchmarks $(ARGS)

figures: $(VENV)/bin/python
	@$(VENV)/bin/python -c "from benchmarks import report; report.write_targets(); report.write_figures()"

real-trees: $(VENV)/.dev .venv-trees/.ready
	@$(VENV)/bin/python -m examples.publish_trees $(ARGS)

soak: $(VENV)/.dev
	@SOAK_SECONDS=$(SOAK_SECONDS) $(VENV)/bin/python -m pytest -m soak --timeout=0 $(ARGS)

lock: $(VENV)/bin/python
	@$(VENV)/bin/python -m uv pip compile -q -U --universal --python-version 3.11 --no-annotate --no-header \
		pyproject.toml --extra all --extra s3fs --group dev -o requirements/dev.txt
	@$(VENV)/bin/python -m uv pip compile -q -U --universal --python-version 3.11 --no-annotate --no-header \
		--group docs -o requirements/docs.txt

# The storage servers that the tests use where they are there, each in an environment of its own. The one of Google
# Cloud Storage is a binary in a package of the group `dev`. And the bundlers and type checkers that npm has.
servers: .venv-swift/.ready .venv-azurite/.ready .venv-npm/.ready
	@localstack/run --install

clean:
	rm -rf $(VENV) .venv-azurite .venv-docs .venv-localstack .venv-lowest .venv-npm .venv-swift .venv-trees .demo .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis dist site

# $(1): an environment, $(2): what goes into it. uv takes seconds where pip takes a minute; it reads no pip.conf, so
# where it finds nothing, pip is tried.
install = $(1)/bin/python -m uv pip install -q --python $(1)/bin/python $(2) 2>/dev/null || \
	$(1)/bin/python -m pip install -qq --disable-pip-version-check $(2)

# .venv/.dev is the environment with the dependency group `dev` in it; so for `demo` and `bench`.
$(VENV)/.%: pyproject.toml requirements/dev.txt | $(VENV)/bin/python
	@echo "installing assetstore and what '$*' needs into $(VENV) ..."
	@$(call install,$(VENV),$(PACKAGE) --group $*)
	@touch $@

.venv-docs/.ready: requirements/docs.txt
	@$(MAKE) --no-print-directory VENV=.venv-docs .venv-docs/bin/python
	@echo "installing MkDocs into .venv-docs ..."
	@$(call install,.venv-docs,-r requirements/docs.txt)
	@touch $@

# What the site and its tests need from npm: Mermaid draws the diagrams, axe looks for faults of accessibility.
docs/javascripts/mermaid.min.js .venv-docs/axe.min.js &: | .venv-docs/.ready
	@command -v npm >/dev/null || { echo "the diagrams need Mermaid, which npm has; on Debian: apt-get install npm" >&2; exit 1; }
	@cd .venv-docs && npm pack --silent mermaid@$(MERMAID) axe-core@$(AXE) >/dev/null
	@cd .venv-docs && for each in mermaid axe-core; do mkdir -p $$each && tar xzf $$each-[0-9]*.tgz -C $$each; done
	@cp .venv-docs/axe-core/package/axe.min.js .venv-docs/axe.min.js
	@cp .venv-docs/mermaid/package/dist/mermaid.min.js docs/javascripts/mermaid.min.js

ifneq ($(VENV),.venv-lowest)
.venv-lowest/bin/python:
	@$(MAKE) --no-print-directory VENV=.venv-lowest .venv-lowest/bin/python
endif

.venv-swift/.ready: localstack/swift-requirements.txt
	@$(MAKE) --no-print-directory VENV=.venv-swift .venv-swift/bin/python
	@echo "installing Swift into .venv-swift ..."
	@$(call install,.venv-swift,-r localstack/swift-requirements.txt)
	@touch $@

.venv-azurite/.ready: localstack/azurite/package.json localstack/azurite/package-lock.json
	@command -v npm >/dev/null || { echo "Azurite needs npm; on Debian and Ubuntu: apt-get install npm" >&2; exit 1; }
	@echo "installing Azurite into .venv-azurite ..."
	@mkdir -p .venv-azurite
	@cp localstack/azurite/package*.json .venv-azurite/
	@cd .venv-azurite && npm ci --silent --no-audit --no-fund
	@touch $@

.venv-npm/.ready: requirements/npm/package.json requirements/npm/package-lock.json
	@command -v npm >/dev/null || { echo "the bundlers and pyright need npm; on Debian and Ubuntu: apt-get install npm" >&2; exit 1; }
	@echo "installing bundlers and pyright into .venv-npm ..."
	@mkdir -p .venv-npm
	@cp requirements/npm/package*.json .venv-npm/
	@cd .venv-npm && npm ci --ignore-scripts --silent --no-audit --no-fund
	@touch $@

.venv-trees/.ready: requirements/trees/pip.txt requirements/trees/package.json | $(VENV)/bin/python
	@command -v npm >/dev/null || { echo "these trees need npm; on Debian and Ubuntu: apt-get install npm" >&2; exit 1; }
	@echo "installing the trees into .venv-trees ..."
	@mkdir -p .venv-trees
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --upgrade --target .venv-trees/pip -r requirements/trees/pip.txt
	@cp requirements/trees/package.json .venv-trees/
	@cd .venv-trees && npm install --ignore-scripts --legacy-peer-deps --silent --no-audit --no-fund --no-package-lock
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
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip uv 2>/dev/null || true
