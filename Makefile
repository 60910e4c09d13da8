# `make help` lists the targets. Everything runs in .venv, which `setup` makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TESTS  ?= tests src
WORKERS ?= 2

# Small operators on shared cores run fastest with one thread a process.
export OMP_NUM_THREADS ?= 1
export PYTHONUNBUFFERED = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo stamps wesnoth bench test test-slow test-services lint types docs check format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-13s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv and install pinned packages

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: setup ## search, prune, fine-tune and test on a small synthetic dataset
	$(BIN)/avnas synth --out runs/demo-data --overwrite
	$(BIN)/avnas fit --strategy=avnas --config experiments/demo/avnas.yaml --data.root runs/demo-data --out runs/demo --overwrite

stamps: setup ## from a Debian package to videos, a network, an index and answers on a web page; DEB=FILE if no apt-get
	PATH="$(CURDIR)/$(BIN):$$PATH" sh experiments/stamps/videos/run.sh runs/stamps $(DEB)

wesnoth: setup ## from a Debian package to a dataset whose classes are in time and sound; DEB=FILE if no apt-get
	PATH="$(CURDIR)/$(BIN):$$PATH" sh experiments/wesnoth/run.sh runs/wesnoth $(DEB)

bench: setup ## all benchmarks with quick settings, into runs/bench
	$(BIN)/python benchmarks/run_all.py

test: setup ## every test not marked gpu or slow
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(TESTS)

test-slow: setup ## the tests marked slow
	$(BIN)/python -m pytest -m slow tests

test-services: setup ## the tests that start a database server, installed here
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e ".[services]"
	$(BIN)/python -m pytest -m services tests

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

docs: setup ## the documentation, into site/: pages are executed, links checked, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

check: lint types test docs ## what CI runs

format: setup ## rewrite with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and runs of the demo
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache runs/demo runs/demo-data runs/stamps runs/wesnoth runs/docs runs/docs-cache site
