# mlteam's doors. `make run` and `make test` need nothing before them but Linux, Python 3.11 or newer, git and make.
#   make run [PORT=8000] [HOST=127.0.0.1]   start mlteam; Ctrl-C ends the server, jobs run on
#   make demo                               the same with a small team and a job, in var/demo
#   make stop                               end the server and the jobs
#   make doctor                             what this machine lacks, and how to get it
#   make test [TESTS=…] [DATABASE=postgresql]   make lint   make bench[-large]   make lock   make docs

# A server is several processes, each of which would compile all that it imports, whenever it is started.
unexport PYTHONDONTWRITEBYTECODE

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := run

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
VENV ?= .venv
IN_VENV := $(VENV)/bin/python
INSTALL := $(IN_VENV) -m pip install --quiet --disable-pip-version-check --require-hashes

TESTS ?= tests
# Two more than the four groups of tests that mostly wait, for servers, browsers, jobs: so two cores always have something to do.
WORKERS ?= 6
PYTEST_OPTIONS ?=
PYTEST := -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_OPTIONS)

.PHONY: run demo stop doctor test lint bench bench-large lock docs env dev-env

run: env
	@exec $(IN_VENV) -m mlteam.supervisor up

demo: export MLTEAM_VAR := $(if $(MLTEAM_VAR),$(MLTEAM_VAR),var/demo)
demo: env
	@exec $(IN_VENV) -m mlteam.supervisor up --demo

stop: env
	@exec $(IN_VENV) manage.py stop

doctor: env
	@exec $(IN_VENV) manage.py doctor

# With DATABASE=postgresql the tests run on a private PostgreSQL that is made for them and removed afterwards.
test: dev-env
ifeq ($(DATABASE),postgresql)
	@exec $(IN_VENV) -m tests.postgresql $(IN_VENV) $(PYTEST) -m "not browser and not faults and not serial and not walk" $(TESTS)
else
	@exec $(IN_VENV) $(PYTEST) $(TESTS)
endif

lint: export MLTEAM_VAR := $(CURDIR)/$(VENV)/var
lint: dev-env
	$(IN_VENV) -m ruff check .
	$(IN_VENV) -m ruff format --check .
	$(IN_VENV) sdk/unasync.py --check
	$(IN_VENV) -m mypy --config-file sdk/pyproject.toml sdk/src
	$(IN_VENV) -m mypy --explicit-package-bases mlteam accounts access teams projects billing compute datastores jobs runner api
	$(IN_VENV) manage.py check --fail-level WARNING
	$(IN_VENV) manage.py makemigrations --check --dry-run

bench: dev-env
	@exec $(IN_VENV) -m bench

# The same measurement of memory as in `bench`, with 20 GB: needs 80 GB of disk.
bench-large: dev-env
	@BENCH_GB=20 exec $(IN_VENV) -m bench data_memory

# Writes docs/api.md from what the server says of itself, docs/cli.md from what the command does, docs/sdk-reference.md from the SDK.
docs: export MLTEAM_VAR := $(CURDIR)/$(VENV)/var
docs: dev-env
	@$(IN_VENV) manage.py write_docs
	@PYTHONPATH=sdk/src $(IN_VENV) -m mlteam_sdk reference > docs/cli.md
	@$(IN_VENV) sdk/reference.py

# Pins again what requirements*.txt need, for every Python and processor at once, by hash.
COMPILE := $(IN_VENV) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--custom-compile-command "make lock"
lock: dev-env
	$(COMPILE) requirements.txt --output-file requirements.lock
	$(COMPILE) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) sdk/pyproject.toml --constraint requirements-dev.lock --output-file sdk/requirements.lock

env: $(VENV)/.installed
dev-env: $(VENV)/.installed-dev

$(VENV)/.installed: requirements.lock | $(IN_VENV)
	@echo "Installing what mlteam needs into $(VENV) …"
	@$(INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock requirements.lock | $(IN_VENV)
	@echo "Installing what its tests need into $(VENV) …"
	@$(INSTALL) -r requirements-dev.lock
	@touch $@ $(VENV)/.installed

$(IN_VENV):
	@if [ -z "$(PYTHON)" ]; then \
		echo "mlteam needs Python 3.11 or newer; python3 here is $$(python3 -V 2>/dev/null || echo missing)."; \
		echo "Install one (Debian 12, Ubuntu 24.04: apt install python3 python3-venv), or name it: make run PYTHON=/path/to/python3.12"; \
		exit 1; \
	fi
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
