# Two commands for a newcomer: `make run` and `make test`. Each does all of its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SAM_VENV := .venv-sam
RUNTIME := 3.13
RUNTIME_VENV := .venv-$(RUNTIME)
CHECKOV_VENV := .venv-checkov
SECURITY_VENV := .venv-security
SAM = SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/sam
MARKERS ?=
# With other Pythons, and out of the artefact, the question is whether the place makes a difference. One that does makes it
# each time, so a failed test is run once more, and both runs are told of. `make test` forgives no wrong answer.
ELSEWHERE := --reruns 1 --rerun-show-tracebacks

.DEFAULT_GOAL := help
.PHONY: help run test pooler compliance torture versions check build artefact stacks fuzz budget doctor bench-flights bench-speed bench-coldstart bench-dashboard bench-fleet format tables authorities lock clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

# --- environments: made once, remade when the lock changes ---
# uv, itself out of the lock, does in seconds what takes pip more than a minute. Where it cannot reach the index (a
# mirror that only pip is configured for), pip does it. Both check every hash, and the lock is whole: nothing is resolved.
LOCKED := --quiet --no-deps --require-hashes
install = $(BIN)/uv pip install $(LOCKED) --system-certs --compile-bytecode --python $(1)/bin/python -r $(2) \
	|| $(1)/bin/python -m pip install $(LOCKED) --disable-pip-version-check -r $(2)

$(VENV)/.installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/it $(MAKECMDGOALS)"; exit 1; }
	@echo "making $(VENV) (once; up to a minute)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/# via/p' $< | $(BIN)/python -m pip install $(LOCKED) --disable-pip-version-check -r /dev/stdin
	@$(call install,$(VENV),$<)
	@touch $@

# aws-sam-cli and checkov pin a boto3 of their own; what only examines stays out of what is examined.
$(SAM_VENV)/.installed $(CHECKOV_VENV)/.installed $(SECURITY_VENV)/.installed: .venv-%/.installed: requirements/%.txt $(VENV)/.installed
	@echo "making $(@D) (once; up to a minute)"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(call install,$(@D),$<)
	@touch $@

# --- the work ---

run: $(VENV)/.installed ## Run everything on this machine and serve on 127.0.0.1:3000 (ONCE=1: only the samples)
	@$(BIN)/python -m local $(if $(ONCE),--once) $(if $(BRIDGE),--bridge $(BRIDGE))

test: $(VENV)/.installed ## Run the tests, unit to end-to-end (apart: pooler, compliance, stacks, fuzz, versions, artefact)
	@$(BIN)/python -m tests $(MARKERS)

compliance: $(VENV)/.installed ## Run SQLAlchemy's compliance suite over our dialect and the stock one, and compare
	@$(BIN)/python -m pytest tests/compliance

torture: $(VENV)/.installed ## Cut 1,000 connections at random bytes and compare what was told with what was done
	@$(BIN)/python -m bench.torture --result bench/torture.json

pooler: $(VENV)/.installed ## Run the integration tests once more, through PgBouncer in transaction mode
	@$(BIN)/python -m pytest --quiet --through-pgbouncer tests/integration tests/functions

# Each supported Python that is here, in an environment of its own; in CI all of them have to be here.
versions: .venv-3.12/.tested .venv-3.13/.tested ## Run the fast tests under the other supported Pythons

.venv-%/.tested: $(VENV)/.installed FORCE
	@if [ -z "$$(.ci/python $*)" ]; then echo "no Python $* here: not tested with it"; [ -z "$$CI" ]; exit; fi; \
	$(MAKE) --no-print-directory $(@D)/.installed && echo "with $$($(@D)/bin/python --version)" && \
	$(@D)/bin/python -m pytest --quiet $(ELSEWHERE) tests/unit tests/contract tests/integration tests/functions

.venv-%/.installed: requirements/dev.txt $(VENV)/.installed
	@[ -n "$$(.ci/python $*)" ] || { echo "Python $* is needed, on the PATH or among pyenv's"; exit 1; }
	@rm -rf $(@D) && $$(.ci/python $*) -m venv $(@D) && { $(call install,$(@D),$<); } && touch $@

FORCE:

check: $(VENV)/.installed $(SAM_VENV)/.installed $(CHECKOV_VENV)/.installed $(SECURITY_VENV)/.installed ## Lint, types, import contracts, security, template
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=src $(BIN)/lint-imports
	@$(SECURITY_VENV)/bin/bandit --quiet --configfile pyproject.toml --recursive src local
	@$(SAM) validate --lint --region eu-central-1
	@$(SAM_VENV)/bin/cfn-lint -- template.yaml
	@$(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml --file template.yaml

build: $(SAM_VENV)/.installed ## Build what `sam deploy` deploys (bytecode needs the runtime's Python: src/Makefile)
	@$(SAM) build

artefact: $(SAM_VENV)/.installed $(RUNTIME_VENV)/.installed ## Build the functions and test what was built
	@mkdir -p .cache
	@ARTEFACT_CACHE=$(CURDIR)/.cache/libraries $(SAM) build --build-dir .cache/artefact --cache-dir .cache/sam >.cache/build.log 2>&1 \
		|| { cat .cache/build.log; exit 1; }
	@ARTEFACT=.cache/artefact/RecordsFunction ARTEFACT_PYTHON=$(CURDIR)/$(RUNTIME_VENV)/bin/python \
		SAM_PYTHON=$(CURDIR)/$(SAM_VENV)/bin/python ELSEWHERE="$(ELSEWHERE)" $(BIN)/python -m pytest tests/artefact

stacks: $(SAM_VENV)/.installed $(CHECKOV_VENV)/.installed ## Translate, lint and deploy (into an emulator) the stack with each choice of parameters
	@rm -rf .cache/stacks && PYTHONPATH=. AWS_DEFAULT_REGION=eu-central-1 \
		$(SAM_VENV)/bin/python -m tests.stacks.translate .cache/stacks 2>/dev/null
	@$(SAM_VENV)/bin/cfn-lint -- .cache/stacks/*.json
	@$(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml $(foreach stack,nothing-given everything-given iam iam-to-given,--file .cache/stacks/$(stack).json)
	@STACKS=.cache/stacks $(BIN)/python -m pytest tests/stacks

fuzz: $(VENV)/.installed $(SECURITY_VENV)/.installed ## Send the local stack what its OpenAPI document allows, and what it does not
	@SCHEMATHESIS=$(CURDIR)/$(SECURITY_VENV)/bin/schemathesis $(BIN)/python -m pytest tests/fuzz

budget: $(VENV)/.installed ## Reckon the fleet's connections against SLOTS (max_connections less what is reserved)
	@PYTHONPATH=src $(BIN)/python -m local.budget $(if $(SLOTS),--slots $(SLOTS)) --config-env $(or $(CONFIG_ENV),default)

doctor: $(VENV)/.installed ## Examine the database that DB_* or DATABASE_URL log in to (PLAN=: an event with a plan)
	@PYTHONPATH=src $(BIN)/python -m local.doctor $(if $(PLAN),--plan $(PLAN))

bench-flights: $(VENV)/.installed ## Count round trips anew, ours and others': bench/flights.md
	@PYTHONPATH=src $(BIN)/python -m bench.flights

bench-speed: $(RUNTIME_VENV)/.installed ## Compare processor and wall time anew, on an idle machine: bench/speed.md
	@PYTHONPATH=src $(RUNTIME_VENV)/bin/python -m bench.speed

bench-coldstart: $(SAM_VENV)/.installed $(RUNTIME_VENV)/.installed ## Measure cold starts anew: bench/coldstart.md
	@ARTEFACT_CACHE=$(CURDIR)/.cache/libraries PYTHONPATH=src $(BIN)/python -m bench.coldstart

bench-fleet: $(VENV)/.installed ## Measure the fleet anew, 25 minutes on an idle machine: bench/fleet.md (SCENARIO=x10: only that)
	@PYTHONPATH=src $(BIN)/python -m bench.fleet $(if $(SCENARIO),--scenario $(SCENARIO))

bench-dashboard: $(VENV)/.installed ## Draw the dashboard anew from a run on this machine: bench/dashboard.png
	@PYTHONPATH=src $(BIN)/python -m bench.dashboard

format: $(VENV)/.installed ## Put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

tables: $(VENV)/.installed ## Write the README's table of settings
	@PYTHONPATH=src $(BIN)/python -m local.tables

authorities: $(VENV)/.installed ## Fetch the roots that functions trust anew: src/db/authorities.pem
	@PYTHONPATH=src $(BIN)/python -m local.authorities

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
lock: $(VENV)/.installed ## Pin the dependencies anew, with their hashes
	@$(LOCK) --group dev --group bench pyproject.toml -o requirements/dev.txt
	@$(LOCK) -c requirements/dev.txt pyproject.toml -o src/requirements.txt
	@$(LOCK) requirements/sam.in -o requirements/sam.txt
	@$(LOCK) requirements/checkov.in -o requirements/checkov.txt
	@$(LOCK) requirements/security.in -o requirements/security.txt

clean: ## Remove everything that was made here
	@rm -rf $(VENV) .venv-* .cache .aws-sam .mypy_cache .pytest_cache .ruff_cache .hypothesis
