SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MEMBERS := libs/contracts libs/chassis services/gateway services/billing services/generator services/vpn services/scheduler simulators devstack tools
STAMP := $(VENV)/.installed

# Every process of a platform, and of its tests, would compile its libraries anew, where an image says
# that none may keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# A fresh machine has Python 3.11 and make, nothing else: the environment installs itself from the
# hash-locked list, then our own packages without their dependencies.
$(STAMP): requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@test -x $(BIN)/python || $$(command -v $(PYTHON) || command -v python3) -m venv $(VENV)
	@sed -n '/^uv==/,/^[a-z]/{/^uv==/p;/^    /p}' requirements.lock | $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r /dev/stdin
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ./,$(MEMBERS))
	@touch $@

install: $(STAMP) ## install everything into .venv

up: $(STAMP) ## run the whole platform and print the chat page's URL
	@exec $(BIN)/devstack up

down: $(STAMP) ## stop a platform started by make up
	@$(BIN)/devstack down

reset: $(STAMP) ## stop it and forget its state
	@$(BIN)/devstack reset

test: $(STAMP) ## every test
	@$(BIN)/python -m pytest -n 3 --dist loadgroup

lint: $(STAMP) ## ruff, mypy strict, import-linter, our own checks, licences, known holes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(addsuffix /src,$(MEMBERS))
	@$(BIN)/lint-imports
	@$(BIN)/python tools/check_repository.py
	@$(BIN)/python -m vitrine_tools.licences
	@$(BIN)/python -m vitrine_tools.audit

bench: $(STAMP) ## measure every figure of bench/RESULTS.md
	@$(BIN)/python -m bench.run_all

chaos: $(STAMP) ## 500 orders while everything is killed in turn
	@$(BIN)/python -m pytest -p no:xdist tests/chaos --chaos-orders 500 -s

kill-points: $(STAMP) ## billing killed at every statement of every way to pay, and to access
	@$(BIN)/python -m pytest -p no:xdist tests/integration/test_payment_kill_points.py \
		tests/integration/test_access_kill_points.py --kill-points all -s

vpn-storm: $(STAMP) ## 1,000 operations of VPN access while everything is killed
	@$(BIN)/python -m pytest -p no:xdist tests/integration/test_vpn_storm.py --vpn-operations 1000 -s

mutation: $(STAMP) ## planted faults that billing's tests must find
	@$(BIN)/python tools/mutation/run.py --workers 2

images: $(STAMP) ## build every image with podman, and try them under the limits of a cluster
	@$(BIN)/python -m vitrine_tools.images.build
	@VITRINE_TEST_IMAGES=1 $(BIN)/python -m pytest -p no:xdist tests/images/tier_b -q

demo: $(STAMP) ## one order from the terminal, and its trace
	@$(BIN)/devstack demo

schemas: $(STAMP) ## write services/*/schema.sql from the migrations
	@$(BIN)/python tools/write_schemas.py

chart-readme: $(STAMP) ## write charts/vitrine/README.md from its values
	@$(BIN)/python tools/write_chart_readme.py

proto: $(STAMP) ## write the Python of every .proto
	@$(BIN)/python tools/write_proto.py

lock: $(STAMP) ## renew requirements.lock from requirements.in
	@$(BIN)/uv pip compile requirements.in -o requirements.lock --generate-hashes --no-emit-index-url --python-version 3.11 -q --upgrade
	@$(MAKE) --no-print-directory locks

locks: $(STAMP) ## write requirements/<image>.lock from requirements.lock
	@$(BIN)/python -m vitrine_tools.images.locks

lock-checks: $(STAMP) ## renew requirements-checks.lock
	@$(BIN)/uv pip compile requirements-checks.in -o requirements-checks.lock --generate-hashes --no-emit-index-url --python-version 3.11 -q --upgrade

audit: $(STAMP) ## known holes of every locked version; fails where nobody can be asked
	@VITRINE_AUDIT=require $(BIN)/python -m vitrine_tools.audit

cluster: $(STAMP) ## the chart on the cluster KUBECONFIG names
	@VITRINE_CLUSTER=yes $(BIN)/python -m pytest -p no:xdist tests/cluster -v

.PHONY: help install up down reset test lint bench chaos kill-points vpn-storm mutation images demo schemas proto lock locks lock-checks audit cluster chart-readme
