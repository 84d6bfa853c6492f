# Entry points for a checkout. Each makes what it needs first, and is fast the next time.
VENV ?= .venv
PYTHON ?= python3
export PYTHON

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
TEST_STAMP := $(VENV)/.installed-test

.PHONY: help run test lint soak bench clean

help:
	@echo "make run    start the demo gateway on 127.0.0.1:9080 (Admin API on 9180)"
	@echo "make test   install what tests need, lint, run all tests"
	@echo "make lint   ruff, mypy, luacheck"
	@echo "make soak   500 seeded runs of the configuration cycle through faults of etcd and network"
	@echo "make bench  measure against nginx + ngx_lua"
	@echo "make clean  remove what these made"

run: $(RUN_STAMP)
	@exec $(BIN)/python examples/demo/demo.py

test: $(TEST_STAMP)
	@.ci/system-packages
	@.ci/lint $(VENV)
	$(BIN)/python -m pytest

lint: $(TEST_STAMP)
	@.ci/lint $(VENV)

soak: $(TEST_STAMP)
	@.ci/system-packages
	$(BIN)/python -m tests.soak --runs 500

bench: $(TEST_STAMP)
	@.ci/system-packages
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) build dist *.egg-info run examples/*/run .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): setup.cfg pyproject.toml
	@.ci/venv $(VENV)
	@touch $@

$(TEST_STAMP): setup.cfg pyproject.toml
	@.ci/venv $(VENV) '[test,dev]'
	@touch $@ $(RUN_STAMP)
