# `make run` and `make test` need Python 3.11 or later and nothing else: each makes the environment.
# With another interpreter, as in `make check PYTHON=python3.13`, it is one of its own.
PYTHON ?= python3
VENV ?= .venv$(patsubst python%,-%,$(filter-out python python3,$(notdir $(PYTHON))))
INTERPRETER = $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null || \
	ls ~/.pyenv/versions/*/bin/$(PYTHON) 2>/dev/null | tail -n 1)
BIN := $(VENV)/bin
BENCH_VENV ?= .venv-bench
KILLS ?= 1000
FAULTS ?= 20
SKIPS ?=
SOURCES := actors gateways kaiju topology grafana tests bench docs
PYTEST := $(BIN)/pytest -rs $(if $(SKIPS),--allowed-skips=$(SKIPS))
QUICK := -m "not slow and not xdist_group"

.PHONY: run check test faults soak lint quick interpreter format bench clean

run: $(VENV)/.ready  ## trade on the synthetic market for ten virtual minutes
	$(BIN)/kaiju run topology/paper.yaml --for 10m

check: lint quick  ## format check, lint, types and the quick tests: before each commit, 90 seconds
	@echo "Left out: tests that are marked slow, and those of real processes, sockets and waiting \
	(xdist_group), since they take minutes: make test. Skipped tests say why above."

test: lint  ## everything that CI runs: before each push, nine minutes
	$(PYTEST) -n 2 --dist loadgroup  # one works on the group "live", which mostly waits
	$(BIN)/python -m tests.kit.order_exploration --depth 5
	@echo "Left out: most repetitions of faults on linked nodes, since they take an hour: make faults; \
	kills at random, since they never end: make soak. Skipped tests say why above."

faults: $(VENV)/.ready  ## kill, stop, cut off and mistreat linked nodes FAULTS times each: an hour
	FAULTS=$(FAULTS) $(PYTEST) tests/system/test_link_faults.py tests/system/test_linked_trading.py tests/system/test_operated_desk.py
	$(BIN)/python -m tests.kit.simulated_network --schedules 10000
	$(BIN)/python -m tests.kit.order_exploration --depth 8
	@echo "Left out: all tests of anything but faults on linked nodes: make test; kills at random, \
	since they never end: make soak. Skipped tests say why above."

soak: $(VENV)/.ready  ## kill runs, nodes and their venues KILLS times at random, or for as long as FOR says
	$(BIN)/python -m tests.tools.soak $(if $(FOR),--for $(FOR),--kills $(KILLS))
	@echo "Left out: all named tests: make test; losses of the network: make faults."

lint: $(VENV)/.ready
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

interpreter:  ## say where PYTHON is; nothing where it is not
	@echo $(INTERPRETER)

quick: $(VENV)/.ready
	$(PYTEST) -n 2 $(QUICK)

format: $(VENV)/.ready  ## write the code as `make test` wants it
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(if $(AGAINST),$(VENV),$(BENCH_VENV))/.ready  ## the table of docs/bench.md, or its sections ONLY, beside peers or the commit AGAINST
	$(if $(AGAINST),$(VENV),$(BENCH_VENV))/bin/python -m bench $(ONLY) $(if $(AGAINST),--against $(AGAINST))

clean:
	rm -rf .venv .venv-3.* .venv-against $(BENCH_VENV)

$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(INTERPRETER)" || { echo "there is no $(PYTHON) here: make PYTHON=python3.11"; exit 1; }
	$(INTERPRETER) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kaiju needs Python 3.11 or later: make PYTHON=python3.11")'
	$(INTERPRETER) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(BENCH_VENV)/.ready: pyproject.toml
	$(INTERPRETER) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[bench]'
	touch $@
