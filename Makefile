# Everything a person types. Every target installs what it needs; a second call finds it installed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := $(VENV)/.installed-for-demo
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
LOCK   := $(VENV)/bin/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
  --constraint constraints.txt --excludes requirements/apart.txt --no-annotate --custom-compile-command "make lock" --quiet

.PHONY: help demo test lint types check mutate check-slow docs lock study tables picture film bench scale gpu bench-import format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

# First what is locked, each file with its hash; then torch, whose files differ by index (requirements/apart.txt).
$(DEMO): pyproject.toml constraints.txt requirements/demo.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "conductance needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes --no-deps --requirement requirements/demo.txt
	$(INSTALL) --no-build-isolation --constraint constraints.txt --editable '.[train,report]'
	@touch $@

$(STAMP): $(DEMO) requirements/test.txt
	$(INSTALL) --require-hashes --no-deps --requirement requirements/test.txt
	$(INSTALL) --no-build-isolation --constraint constraints.txt --editable '.[train,hub,images,report,biophysics,cluster,tune,tensorboard,gpu,export,docs,dev]'
	@touch $@

demo: $(DEMO)  ## train CWA and affine networks on real digits, compare them, write demo/report.html (under 3 minutes)
	$(BIN)/conductance demo --out demo

test: lint  ## what CI runs: lint, types, tests (under 8 minutes on 2 cores)
	@$(MAKE) --no-print-directory --jobs 2 types check

lint: $(STAMP)  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## static types
	$(BIN)/mypy

# Three processes on two cores (four take longer): one often waits for a browser, a cluster or a process that it started.
check: $(STAMP)  ## the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

COUNT ?= 20000
SEED ?= 0

mutate: $(STAMP)  ## change the files of runs at random, 20,000 times, and run what reads them (about an hour; COUNT=, SEED=)
	PYTHONPATH=src OMP_NUM_THREADS=1 $(BIN)/python tests/mutations.py --count $(COUNT) --seed $(SEED)

check-slow: $(STAMP)  ## tests that take minutes: every check of scikit-learn, every converted network, kills, faults, soaks
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 -m slow

docs: $(STAMP)  ## build the site, tutorials included: docs/_build/html/index.html (under four minutes the first time)
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -W --keep-going -b html -d docs/_build/doctrees -c docs . docs/_build/html
	@echo "open docs/_build/html/docs/index.html"

study: $(STAMP)  ## measure a study again: make study NAME=ablation (without NAME: list them; options in ARGS="...")
	$(BIN)/python -m studies $(NAME) $(ARGS)
	$(BIN)/python -m tools.write_circuit_claims
	$(BIN)/python tools/embed_tables.py

tables: $(STAMP)  ## write results/runs.csv and all tables again from the runs
	$(BIN)/python -m tools.write_results
	$(BIN)/python -m studies gap
	$(BIN)/python tools/embed_tables.py

picture: $(STAMP)  ## draw docs/inside.svg, the picture in the README, from a checked-in run
	$(BIN)/python tools/draw_inside.py

film: $(STAMP)  ## film the live page for the README: docs/live.webp (needs a browser)
	PYTHONPATH=. $(BIN)/python tools/draw_live.py

bench: $(STAMP)  ## measure speed and memory again and write benchmarks/ (about five minutes; nothing else may run)
	$(BIN)/python tools/write_benchmarks.py

scale: $(STAMP)  ## measure how a step's time and memory grow; write the tables of docs/scale.md (two minutes)
	$(BIN)/python tools/write_scale.py

gpu:  ## measure a GPU in under six minutes, with what $(PYTHON) has: torch, numpy, Triton (into gpu/, or $$OUT)
	PYTHONPATH=src $(PYTHON) -m conductance.bench.gpu $(ARGS)

bench-import: $(STAMP)  ## how much longer `import conductance.nn` takes than `import torch`
	$(BIN)/python benchmarks/import_time.py

format: $(STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(STAMP)  ## write requirements/*.txt anew from pyproject.toml and constraints.txt, after a change of dependencies
	$(INSTALL) uv==0.13.9
	$(LOCK) --extra train --extra report --output-file requirements/demo.txt
	$(LOCK) --all-extras --output-file requirements/test.txt

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
