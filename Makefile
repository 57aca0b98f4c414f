# Needs make and Python 3.11 or newer. Every target sets up .venv first, which takes no time once it is done.
# `make faults` does for long what `make test` does once: ROUNDS times.
# `make test ARGS="-k grace"` passes arguments on; `make test ENGINES=containers` tests on the published images.

PYTHON ?= python3
RUN := .venv/bin/python -m
ARGS ?=
ENGINES ?= embedded
ROUNDS ?= 10
export ENGINES

.PHONY: setup demo up test check bench bench-quick fuzz faults

setup:
	@$(PYTHON) -m deploy.setup

demo: setup
	@$(RUN) deploy.local.demo $(ARGS)

up: setup
	@$(RUN) deploy.local up $(ARGS)

test: setup
	@$(RUN) pytest $(ARGS)

check: setup
	@$(RUN) deploy.check

bench: setup
	@$(RUN) tests.bench $(ARGS)
	@$(if $(ARGS),,$(RUN) tests.bench.metrics_size)

bench-quick: setup
	@$(RUN) tests.bench --quick $(ARGS)

fuzz: setup
	@$(RUN) tests.fuzz $(ARGS)

faults: setup
	@ONBELAY_FAULTS_ROUNDS=$(ROUNDS) $(RUN) pytest -m faults $(ARGS)

mutation: setup
	@$(RUN) tests.mutation $(ARGS)
