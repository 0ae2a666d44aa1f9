# Every target runs on a fresh machine: it makes .venv first where there is none.
PYTHON ?= python3
VENV   ?= .venv
STACK  ?= gridbyoc.yaml
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Where no terraform is on PATH, the suite runs the embedded one under that name.
SHIMS  := $(VENV)/shims
TEST_PATH := $(if $(shell command -v terraform),$(PATH),$(CURDIR)/$(SHIMS):$(PATH))
# A provider mirror (an unpacked Terraform filesystem mirror) is used where one lies on the machine or is named.
GRIDBYOC_PROVIDER_MIRROR ?= $(patsubst %/,%,$(dir $(firstword $(wildcard /opt/*/registry.terraform.io))))
ifneq ($(GRIDBYOC_PROVIDER_MIRROR),)
export GRIDBYOC_PROVIDER_MIRROR
endif

.DEFAULT_GOAL := help
.PHONY: help install demo test compiled unit test-lowest mutants lint fmt docs site screenshots build validate render plan bootstrap outputs clusters destroy sandbox bench clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z ]+:.*## /{n = split($$1, names, " "); for (i = 1; i <= n; i++) printf "  make %-10s %s\n", names[i], $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=FILE names the stack file (default: $(STACK))"

install: $(STAMP) ## Make .venv with the tool, the sandbox, the embedded Terraform and the test tools

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[sandbox,embedded,dev,docs]'
	$(BIN)/python -m compileall -q gridbyoc
	mkdir -p $(SHIMS) && ln -sf ../bin/gridbyoc-terraform $(SHIMS)/terraform
	touch $@

demo: install ## From nothing to a running cluster, on a local AWS and a local control plane
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && bin=$$PWD/$(BIN) && cd "$$dir" && \
	"$$bin/gridbyoc" new --no-input && \
	"$$bin/gridbyoc" sandbox run -- "$$bin/gridbyoc" bootstrap --yes --poll-interval 1s

# More workers than two cores: a test of the whole tool waits for a third of its time, on clusters and on processes.
WORKERS ?= 3

test: install ## Lint, types, formatting and the whole suite with coverage
	$(MAKE) --no-print-directory -j 2 lint compiled
	$(BIN)/coverage erase
	PATH="$(TEST_PATH)" env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-fail-under=95 $(PYTEST_ARGS)

# What pytest compiles is kept whatever the caller's environment says: without it each worker compiles all tests again,
# which takes ten seconds.
compiled: install
	PATH="$(TEST_PATH)" env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --collect-only -qq > /dev/null

unit: install ## The unit tests alone: no process, no socket
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist worksteal tests/unit $(PYTEST_ARGS)

LOWEST := .venv-lowest
test-lowest: ## The unit tests with the lowest versions of the dependencies that pyproject.toml allows
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[sandbox,dev]'
	$(LOWEST)/bin/python -m pytest -n 2 tests/unit $(PYTEST_ARGS)

mutants: install ## Break guards one by one in a copy; each must be noticed by a test (10 minutes; MUTANTS_ARGS='-j 4 TEXT')
	PATH="$(TEST_PATH)" $(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

lint: install ## ruff and mypy, strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: install ## Format Python (and Terraform, where there is one)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	if command -v terraform >/dev/null; then terraform fmt -recursive modules; fi

docs: install ## Write what is generated from the code: help text, tables of codes, schemas, examples
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/screens.py

site: install ## Build the documentation as a site into site/ (look at it: python3 -m http.server -d site)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

screenshots: install ## Take the pictures of the documentation, on the sandbox (needs a chromium on PATH)
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo 'make screenshots needs a chromium on PATH, e.g. apt-get install chromium' >&2; exit 1; }
	$(BIN)/python docs/pictures.py

build: install ## Build sdist and wheel into dist/
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist .

validate render plan bootstrap outputs destroy: install ## Run this verb on $(STACK)
	$(BIN)/gridbyoc $@ '$(STACK)' $(ARGS)

clusters: install ## List the control plane's clusters
	$(BIN)/gridbyoc clusters list $(ARGS)

sandbox: install ## A shell in the sandbox: a local AWS and a local control plane
	$(BIN)/gridbyoc sandbox shell $(ARGS)

bench: install ## Benchmarks: ratios against a baseline run in the same minute
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/matrix.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/fleet_wait.py
	$(BIN)/python benchmarks/rerun.py
	$(BIN)/python benchmarks/night.py

clean: ## Remove what building and testing left (never .gridbyoc, which holds state)
	rm -rf $(VENV) dist build site .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
