# The verbs of this project. `make up` and `make test` need nothing but Debian and Python 3.11.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up test check gate bench mutants clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@scripts/setup
setup-tests:
	@scripts/setup tests

up: setup ## build everything and run the demo: one control plane, two POPs
	@$(BIN)/edge up

test: setup-tests ## every test, in a real browser and on real servers where they exist
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15

check: setup ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

gate: setup-tests ## latency budgets through the real consent path in a real browser
	@$(BIN)/edge bench --suite vitals --gate
	@$(BIN)/edge bench --suite micro --gate
	@$(BIN)/edge bench --suite vitals --self-test

bench: setup-tests ## every benchmark, measured against its budget; minutes to an hour
	@$(BIN)/edge bench

mutants: setup-tests ## delete security checks one at a time and list those that no test misses; nightly, hours
	@$(BIN)/python scripts/mutants.py

clean: ## remove what was built, keep the virtual environment
	@rm -rf build .edge
