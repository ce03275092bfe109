# Needs Python >= 3.11 with venv, git and make. The first target that needs packages installs them; later runs are
# offline. `make` alone prints what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# Any Python that can make a virtual environment; override with `make PYTHON=/path/to/python3`.
CANDIDATES := python3.13 python3.12 python3.11 python3
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in $(CANDIDATES); do "$$p" -c '$(USABLE)' >/dev/null 2>&1 && echo "$$p" && break; done)

UV := .tools/bin/uv
BIN := .venv/bin
INSTALLED := .venv/.installed
CODE := src tests scripts
# Many tests wait for servers and processes, so two more than there are processors; each has a PostgreSQL of its own.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ "$$n" -lt 8 ] && echo $$((n + 2)) || echo 8)

# uv neither downloads a Python nor reads an environment that belongs to another project.
export UV_PYTHON_DOWNLOADS := never
# This machine's own certificates where it has some: a company's proxy is in there, not in uv's.
STORES := /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem
export UV_SYSTEM_CERTS := $(if $(wildcard $(STORES)),true,false)
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT
# Compiling what it imports takes a process four seconds: what is installed is compiled once, and our own code at its
# first import, also where the environment says otherwise (images of containers do).
export UV_COMPILE_BYTECODE := true
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo up down test lint format bench accuracy privacy docs clean

help: ## Print this list
	@echo 'Spectra: make <target>'
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r name words; do printf '%-11s %s\n' "$$name" "$$words"; done

install: $(INSTALLED) ## Install what is needed, locked, into .venv (once; everything else calls it)

demo: $(INSTALLED) ## Start Spectra, scan this machine, import samples, ask questions, stop it again
	@$(BIN)/python scripts/demo.py

up: $(INSTALLED) ## Start Spectra and leave it running
	@$(BIN)/spectra up --detach
	@echo 'Ask it: $(BIN)/spectra status, $(BIN)/spectra --help'

down: $(INSTALLED) ## Stop the Spectra that runs on this machine
	@$(BIN)/spectra down

test: $(INSTALLED) ## Run every test that can run here, with coverage of at least 90 % (JOBS=3 ARGS='tests/store -x')
	@echo 'Every test is a dot below, $(JOBS) run at once. What this machine cannot run is skipped; the end says why.'
	@$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90 $(ARGS)

lint: $(INSTALLED) ## Check format, lint and types: ruff and pyright
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright $(CODE)

format: $(INSTALLED) ## Format the code and fix what can be fixed by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## Measure ingest, search and memory (HOSTS=10000)
	@$(BIN)/spectra bench --hosts $(or $(HOSTS),10000)

accuracy: $(INSTALLED) ## Hold the matcher against labels made by others (DATA=../shared/data MISSES=1 for the list)
	@$(BIN)/python -m spectra.bench.accuracy.main $(or $(DATA),../shared/data) $(if $(MISSES),--misses)

privacy: $(INSTALLED) ## Push labelled data through every way to a model: what would have left (DATA=../shared/data MISSES=1)
	@$(BIN)/python -m spectra.bench.privacy.main $(or $(DATA),../shared/data)/scans $(if $(MISSES),--misses) $(ARGS)

docs: $(INSTALLED) ## Write the generated parts of the documentation again
	@$(BIN)/python scripts/generate_docs.py

clean: ## Remove what was installed and measured; the data of nodes stays
	rm -rf .venv .tools .coverage .coverage.* htmlcov .pytest_cache .ruff_cache .hypothesis dist
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# --- installation: a pinned uv in a small environment of its own, then everything else from the lock file ---
$(INSTALLED): pyproject.toml uv.lock $(UV)
	@$(UV) sync --locked --all-extras --quiet --python .tools/bin/python
	@touch $@

$(UV): requirements-tools.txt
	@if [ -z '$(PYTHON)' ]; then \
		echo 'Spectra needs Python 3.11 or newer with venv, and none was found ($(CANDIDATES)).' >&2; \
		echo 'Debian and Ubuntu: apt install python3-venv. Fedora: dnf install python3. macOS: brew install python.' >&2; \
		echo 'Or name one: make PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi
	@"$(PYTHON)" -c '$(USABLE)' || \
		{ echo '$(PYTHON) is older than 3.11 or has no venv (Debian: apt install python3-venv).' >&2; exit 1; }
	@echo 'Installing into .tools and .venv: once, some 350 MB from the network, 1.3 GB on disk ...'
	@"$(PYTHON)" -m venv --clear .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-tools.txt
	@touch $@
