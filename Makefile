# Everything a person needs is a target here; bare `make` prints them.
# All Python targets share one .venv, made from the locked, hashed requirements.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CLUSTER ?= local
K ?=

.DEFAULT_GOAL := help
.PHONY: host-pyz help setup binaries fmt lint type arch check unit integration test hosts demo bench fuzz mutate cluster-up cluster-down run verify docs lock image ci clean

help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"nodegate: expected Python 3.11 or newer as python3, found {v[0]}.{v[1]}; set PYTHON=")'
	@echo "==> making $(VENV) from requirements/dev.txt (hashed; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## Make the virtual environment

binaries: $(STAMP) ## Find or build the real control plane (about ten minutes once)
	@$(BIN)/python -m hack.cluster build

hosts: $(STAMP) ## Get what tests on real hosts need (root; a few minutes once)
	@$(BIN)/python -m hack.hosts prepare
	@$(BIN)/python -m hack.cluster build --set node

fmt: $(STAMP) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP) ## Check style, docstrings and YAML
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/interrogate --quiet operator node hack tests
	$(BIN)/yamllint --strict .

type: $(STAMP) ## Check types
	$(BIN)/mypy

arch: $(STAMP) ## Check the import contracts
	$(BIN)/lint-imports

verify: $(STAMP) ## Check that generated documents are up to date
	$(BIN)/python -m hack.docs --check

docs: $(STAMP) ## Regenerate documents from the code
	$(BIN)/python -m hack.docs

unit: $(STAMP) ## Run the tiers that need only Python (K=name stops at the first failure)
	$(BIN)/pytest -q tests/unit tests/property tests/contract tests/manifests $(if $(K),-x -k '$(K)')

integration: $(STAMP) ## Run the tier on the real control plane
	$(BIN)/pytest -q tests/integration $(if $(K),-x -k '$(K)')

test: $(STAMP) binaries ## Install what is needed and run every tier but bench
	@$(MAKE) --no-print-directory hosts || echo "==> no real hosts here, for the reason above; their tests are skipped"
	$(BIN)/pytest -q tests/unit tests/property tests/contract tests/manifests $(if $(K),-x -k '$(K)')
	@$(BIN)/pytest -q tests/integration $(if $(K),-x -k '$(K)') || { \
		echo "==> the cluster tier may be tried once more, only what failed; the failures above are to be looked into"; \
		$(BIN)/pytest -q tests/integration --last-failed --last-failed-no-failures none; }

check: lint type arch verify unit ## The gate before a commit: all of it in about a minute

ci: lint type arch verify test ## What CI runs

demo: $(STAMP) ## The main job on a real control plane, told step by step
	@$(BIN)/python -m hack.demo

bench: $(STAMP) binaries ## Measure against a raw client in the same run
	$(BIN)/python -m hack.bench

fuzz: FUZZ_SECONDS ?= 60
fuzz: $(STAMP) ## Feed the parsers bent requests: hypothesis, then atheris for FUZZ_SECONDS
	$(BIN)/pytest -q tests/property --hypothesis-seed=random
	@$(BIN)/python -m hack.fuzz --seconds $(FUZZ_SECONDS)

mutate: $(STAMP) ## Change decisions one by one; each change fails a test or has its reason
	@$(BIN)/python -m hack.mutate

cluster-up: $(STAMP) ## Start a control plane to play with (CLUSTER=local, kind or current)
	@$(BIN)/python -m hack.cluster up --engine $(CLUSTER)

cluster-down: $(STAMP) ## Stop it
	@$(BIN)/python -m hack.cluster down

run: $(STAMP) ## Run the operator against the playground cluster
	@KUBECONFIG="$$($(BIN)/python -m hack.cluster kubeconfig)" exec $(BIN)/nodegate operator --log-format text --listen 127.0.0.1:8080 --insecure-metrics

lock: $(STAMP) ## Lock the requirements anew, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra fast -o requirements/operator.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml --extra fast --extra plugin --group dev -o requirements/dev.txt
	echo 'atheris==3.0.0' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate - -o requirements/fuzz.txt
	echo 'mutmut==3.8.1' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate - -c requirements/dev.txt -o requirements/mutate.txt

host-pyz: $(STAMP) ## Build the host tool as one file, the same bytes each time
	@$(BIN)/python -m hack.build_host_pyz -o dist/nodegate-host.pyz

image: $(STAMP) ## Build the operator's image (needs a Docker engine)
	$(BIN)/uv build --quiet --wheel
	docker build --tag nodegate:0.1.0 .

clean: ## Remove what the targets made in this folder
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
