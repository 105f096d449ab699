# Two commands for a newcomer: `make run` and `make test`. Each does all of its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM_VENV := .venv-sam
# The lock names everything, so pip has nothing to resolve: --no-deps.
INSTALL = -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r
MARKERS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check format lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

# --- environments: made once, remade when the lock changes ---

$(VENV)/.installed: requirements/dev.txt
	@echo "making $(VENV) (once; about a minute)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(INSTALL) $<
	@touch $@

$(SAM_VENV)/.installed: requirements/sam.txt
	@echo "making $(SAM_VENV) (once; about a minute)"
	@rm -rf $(SAM_VENV) && $(PYTHON) -m venv $(SAM_VENV)
	@$(SAM_VENV)/bin/python $(INSTALL) $<
	@touch $@

# --- the work ---

run: $(VENV)/.installed ## Run everything on this machine and serve on 127.0.0.1:3000 (ONCE=1: only the samples)
	@$(BIN)/python -m local $(if $(ONCE),--once)

test: $(VENV)/.installed ## Run all tests
	@$(BIN)/python -m pytest $(MARKERS)

check: $(VENV)/.installed $(SAM_VENV)/.installed ## Lint, types, import contracts, template
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports
	@SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/sam validate --lint --region eu-central-1
	@$(SAM_VENV)/bin/cfn-lint template.yaml

format: $(VENV)/.installed ## Put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
lock: $(VENV)/.installed ## Pin the dependencies anew, with their hashes
	@$(LOCK) --group dev --group bench pyproject.toml -o requirements/dev.txt
	@$(LOCK) -c requirements/dev.txt pyproject.toml -o src/requirements.txt
	@$(LOCK) requirements/sam.in -o requirements/sam.txt

clean: ## Remove everything that was made here
	@rm -rf $(VENV) $(SAM_VENV) .cache .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
