# Every target says what it does in `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
PY := $(VENV)/bin/python
N ?= 3
SEEDS ?= 100
MINUTES ?= 10
CASES ?= 10000
CONFIG ?= node.json
export VENV

# What needs neither an engine nor a browser nor PostgreSQL, and is quick.
QUICK := not engine and not browser and not postgres and not slow

.PHONY: hostile help run agent join stop test test-fast check fmt lock lab bench bench-swarm bench-scheduler chaos simulate sim messages clean setup setup-dev bench-api fuzz matrix examples

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

run: setup ## Berth on this machine, in the foreground: installs, migrates, starts, prints the address and a sign-in link
	@exec $(PY) -m ops.run

agent: setup ## join this host: CONFIG=node.json is what the nodes page shows; in the foreground until Ctrl-C
	@exec $(PY) -m ops.agent $(CONFIG)

join: setup ## make this host a node: ARGS="--console … --token …" is what the nodes page shows; then as `make agent`
	@exec $(PY) -m ops.agent join $(ARGS)

stop: setup ## end the containers and the engine that `make run` left running
	@$(PY) -m ops.stop

test: setup-dev ## every test: quick ones, then engines and browser, then the console again on PostgreSQL
	@$(PY) -m ops.test

# Bytecode is kept, or each worker would rewrite all assertions anew in each run. Tables are made from the models: tests
# that need the migrations are thorough.
test-fast: setup-dev ## the quick tests without the thorough ones (no engine, browser, PostgreSQL): about a minute
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest -q -n 2 --dist worksteal --no-migrations -m "$(QUICK) and not thorough"

check: setup-dev ## format, lint, types, import contracts, migrations, templates, translations, security
	@$(PY) -m ops.check

fmt: setup-dev ## format the code and the templates
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix . && $(PY) -m djlint --reformat --quiet templates

lab: setup-dev ## N=3 engines on this machine, each with an agent, joined to one console, until Ctrl-C (root)
	@exec $(PY) -m lab --nodes $(N)

hostile: setup-dev ## hostile Compose files at every door, and CASES=10000 generated specs against the agent's hardening
	@HOSTILE_CASES=$(or $(CASES),10000) $(PY) -m pytest -q -n 0 --timeout 3600 -o faulthandler_timeout=3700 tests/api/test_hostile.py tests/nodeagent/test_generated_specs.py \
	  tests/nodeagent/test_hardening.py

bench: setup-dev ## measure deploys, log lines and memory; JSON lines on standard output
	@exec $(PY) -m bench

bench-swarm: setup-dev ## Berth and `docker service` in turn on the same three engines; JSON lines, and docs/images/swarm.png
	@exec $(PY) -m bench swarm --plot docs/images/swarm.png

bench-api: setup-dev ## measure the API's reads with 1,000 and 10,000 apps; JSON lines
	@exec $(PY) -m bench.api

fuzz: setup-dev ## CASES=10000 requests made from the API's schema, each answer held against it; JSON
	@exec $(PY) -m tests.fuzz --cases $(CASES)

matrix: setup-dev ## every route and WebSocket × nine principals × own and other team, as a table; fails on a wrong cell
	@exec $(PY) -m tests.matrix

examples: setup-dev ## record an answer of each operation for the API's schema: console/api/examples.json
	@exec $(PY) -m tests.matrix.examples

bench-scheduler: setup-dev ## measure the scheduler; JSON lines. OPENB=folder of the openb trace adds its cases
	@exec $(PY) -m scheduler.bench $(if $(OPENB),--openb $(OPENB))

sim: setup-dev ## SEEDS=100 runs of the whole loop on a fake clock under seeded faults; prints a seed that fails
	@exec $(PY) -m sim --corpus --seeds $(SEEDS)

chaos: setup-dev ## MINUTES=10 of random faults on three real engines under continuous deploys, then a checker (root); SEED=n replays
	@exec $(PY) -m chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

simulate: setup-dev ## run a trace or a made-up workload against policies: ARGS="--synthetic nodes=300 --plot out.png"
	@exec $(PY) -m scheduler.simulate $(or $(ARGS),--help)

messages: setup-dev ## collect the texts to translate into locale/
	@$(PY) manage.py makemessages --all --no-obsolete --add-location=file --ignore=.venv --ignore=node_modules

lock: setup-dev ## resolve the dependencies of pyproject.toml anew, with hashes
	@$(PY) -m pip install -q --disable-pip-version-check uv
	@for kind in "" "-dev"; do \
	  $(VENV)/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	    $${kind:+--extra dev} pyproject.toml -o requirements$$kind.txt || exit 1; done

clean: ## remove caches, and what killed test and lab runs left behind (not BERTH_HOME)
	@[ ! -x $(PY) ] || $(PY) -m lab.cleanup
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles tests/.artifacts
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

setup:
	@ops/bootstrap.sh run

setup-dev:
	@ops/bootstrap.sh dev
