# `make run` and `make test` need Python 3.11 or later and nothing else: each makes the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BENCH_VENV ?= .venv-bench
KILLS ?= 1000
FAULTS ?= 20
SOURCES := actors gateways kaiju topology grafana tests bench docs

.PHONY: run test soak faults format bench clean

run: $(VENV)/.ready  ## trade on the synthetic market for ten virtual minutes
	$(BIN)/kaiju run topology/paper.yaml --for 10m

test: $(VENV)/.ready  ## format check, lint, types and every test
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadgroup  # one works on the group "live", which mostly waits

soak: $(VENV)/.ready  ## kill runs, nodes and their venues KILLS times at random, or for as long as FOR says
	$(BIN)/python -m tests.tools.soak $(if $(FOR),--for $(FOR),--kills $(KILLS))

faults: $(VENV)/.ready  ## kill, stop, cut off and mistreat linked nodes FAULTS times each
	FAULTS=$(FAULTS) $(BIN)/pytest tests/system/test_link_faults.py tests/system/test_linked_trading.py
	$(BIN)/python -m tests.kit.simulated_network --schedules 10000

format: $(VENV)/.ready  ## write the code as `make test` wants it
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(BENCH_VENV)/.ready  ## the table of docs/bench.md, beside vn.py, NautilusTrader and pykka
	$(BENCH_VENV)/bin/python -m bench

clean:
	rm -rf $(VENV) $(BENCH_VENV)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kaiju needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(BENCH_VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@
