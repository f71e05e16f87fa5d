# The two commands of this project are `make infer` and `make test`; `make help` lists the others.
# Python 3.10 to 3.13 and pip are enough: each virtual environment is made on first use, and again
# when pyproject.toml or constraints.txt changes.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help infer test lint format bench fuzz train samples constraints clean

# A name on the PATH may be a launcher without a Python behind it, so each candidate is run.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.10 python; do \
  $$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)

DEVICE := .venv-device
DEV := .venv
IMAGES ?= samples/*.png
DATA ?= $(or $(PNEUMO_EDGE_DATA),../shared/data)/kermany
RECIPE ?= best
RUN ?= runs/$(RECIPE)
PYTEST_ARGS ?=
BENCH_ARGS ?=
N ?= 100000
FUZZ_ARGS ?=

# Both names, so that the pins hold for the build environment too, in every version of pip.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

define make-venv
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 to 3.13 on the PATH; to fix it, install one or pass PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(1) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(1) >/dev/null 2>&1 || { rm -rf $(1); \
	  $(PYTHON) -m venv --without-pip $(1) && $(PYTHON) -m pip --python $(1)/bin/python install --quiet pip; }
endef

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

infer: $(DEVICE)/.installed ## Screen the samples with the bundle that ships (IMAGES="a.png folder" for your own)
	@$(DEVICE)/bin/pneumo-edge infer $(IMAGES)

test: $(DEV)/.installed ## Run the tests (PYTEST_ARGS="-k prepare" for some of them)
	@$(DEV)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(DEV)/.installed ## ruff and strict mypy
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

format: $(DEV)/.installed ## Let ruff fix what it can
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

bench: $(DEV)/.installed $(DEVICE)/.installed ## Time the whole process, then every engine and peer in turn; writes bench.json and bench.html
	@$(DEV)/bin/pneumo-edge bench process --program $(DEVICE)/bin/pneumo-edge $(BENCH_ARGS)
	@$(DEV)/bin/pneumo-edge bench report --json bench.json --html bench.html

fuzz: $(DEV)/.installed ## Feed N damaged files to the sandboxed decoder; what fails is kept in runs/fuzz
	@$(DEV)/bin/pneumo-edge bench fuzz --data $(dir $(DATA)) --inputs $(N) --save runs/fuzz $(FUZZ_ARGS)

train: $(DEV)/.installed ## Fit and fuse the members on DATA by RECIPE into RUN; goes on where it was stopped
	$(DEV)/bin/pneumo-edge train fit --data $(DATA) --recipe $(RECIPE) --run $(RUN)
	$(DEV)/bin/pneumo-edge train fuse --run $(RUN)

samples: $(DEV)/.installed ## Draw the sample radiographs again from DATA
	$(DEV)/bin/pneumo-edge train samples --data $(DATA)

constraints: ## Pin every dependency anew (needs uv)
	echo editables | uv pip compile --universal --python-version 3.10 --upgrade --no-emit-index-url --no-annotate --custom-compile-command "make constraints" \
	  --extra train --extra dicom --extra kiosk --extra bench --extra dev \
	  pyproject.toml - --output-file constraints.txt

clean: ## Remove the virtual environments and caches
	rm -rf $(DEVICE) $(DEV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(DEVICE)/.installed: pyproject.toml constraints.txt
	$(call make-venv,$(DEVICE))
	@$(DEVICE)/bin/python -m pip install --quiet --editable .
	@touch $@

$(DEV)/.installed: pyproject.toml constraints.txt
	$(call make-venv,$(DEV))
	@$(DEV)/bin/python -m pip install --quiet --editable '.[train,dev,bench,dicom]'
	@touch $@
