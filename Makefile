# Two commands for a stranger: `make demo` and `make test`. Both set themselves up; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
LAKE ?= demo-lake$(if $(CAPTURES),-captures)
REPORT ?= demo-report$(if $(CAPTURES),-captures).html
CAPTURES ?=
ENGINE ?= duckdb
STREAMS = $(or $(CAPTURES),../shared/captures)
BENCH = PYTHONPATH=.tools/bench $(BIN)/python -m benchmarks

.PHONY: help env demo test test-faults test-spark test-hdfs test-cluster mutation soak fuzz hub test-hub images test-images notebooks site site-links lint format lock bench bench-size bench-ingest bench-spark clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(VENV)/.ready ## make .venv with gpdata, every extra and the locked versions

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "gpdata needs Python 3.11 or newer on the PATH; found none. Install one (Debian: apt install python3) or name it: make env PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "env: making $(VENV) with $$($(PYTHON) --version) and the versions of requirements.lock: some 250 packages, 4 GB; silent for minutes"
	@bash .ci/uv.sh "$(PYTHON)" venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)
	@bash .ci/uv.sh "$(PYTHON)" pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@bash .ci/uv.sh "$(PYTHON)" pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@
	@echo "env: ready; the programs are $(BIN)/python and $(BIN)/gpdata"

demo: env ## evolve with DEAP, record it live, write a report (CAPTURES=dir: over recorder streams instead)
	@$(BIN)/gpdata demo --lake "$(LAKE)" --report "$(REPORT)" --engine "$(ENGINE)" $(if $(CAPTURES),--captures "$(CAPTURES)")

test: env lint ## lint, types, import contracts, then every test
	@$(BIN)/python -m pytest -q -n 3 --dist loadgroup

test-faults: env ## every fault, for long (SEED=1 KILLS=50 FAULTS=4000)
	@$(BIN)/python -m pytest -q -m faults -s tests/faults tests/storage tests/sweeps tests/upload tests/importers tests/sessions/test_stream.py tests/sessions/test_stream_killed.py

test-spark: env ## Spark's slower tests: a cluster whose executors are killed, a Connect server, every notebook on both
	@$(BIN)/python -m pytest -q -m faults tests/engines tests/sessions tests/widgets tests/notebooks tests/sweeps tests/test_site.py --ignore=tests/sessions/test_hdfs.py

test-hdfs: env ## a lake in a real HDFS, read by Spark, classic and Connect (fetches 56 MB once)
	@$(BIN)/python -m pytest -q -m faults tests/sessions/test_hdfs.py

mutation: env ## switch every barrier off in turn; each must be noticed by a test
	@$(BIN)/python -m tests.faults.mutation

soak: env ## a service at work with four readers, and a picture of it (MINUTES=30)
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),30)

fuzz: env ## coverage-guided fuzzing of the wire (SECONDS=60 for each target)
	@bash .ci/uv.sh "$(PYTHON)" pip install --quiet --no-deps --python $(BIN)/python --target .tools/atheris 'atheris>=3,<4' || \
		{ echo "fuzz: atheris has no wheel for this Python and system; run it with CPython 3.11 to 3.13 on Linux" >&2; exit 2; }
	@for t in read made key lines body; do echo "fuzz: $$t"; \
		PYTHONPATH=.tools/atheris:. $(BIN)/python -m tests.fuzz.fuzz $$t -max_total_time=$(or $(SECONDS),60); done

hub: env ## start JupyterHub on this machine (GPDATA_LAKE=dir HUB_PORT=8000; see docs/hub.md)
	@exec $(BIN)/python hub/run.py

test-hub: env ## a hub at work: 30 servers, 20 uploads meanwhile, and every recipe inside a user's server
	@$(BIN)/python -m tests.hub.load
	@$(BIN)/python -m tests.hub.recipes
	@$(BIN)/python -m pytest -q -m faults tests/hub

images: ## build the images with podman, buildah or docker (BASE=image; without a registry: sudo hub/images/base.sh)
	@BASE="$(BASE)" TAG="$(TAG)" ENGINE="$(ENGINE_OF_IMAGES)" hub/images/build.sh

test-images: env ## start every image in a real container (root, podman)
	@GPDATA_IMAGES=1 $(BIN)/python -m pytest -q -s tests/test_images.py

test-cluster: env ## a real Kubernetes of one node on this machine, with the chart on it (root; GPDATA_JUPYTERHUB_CHART=...)
	@$(BIN)/python -m tests.cluster

notebooks: env ## run the example notebooks anew and store their outputs
	@$(BIN)/gpdata example-lake --lake example-lake
	@GPDATA_LAKE="$(CURDIR)/example-lake" $(BIN)/python -m tests.notebooks.store

site: env ## build the documentation site into docs/_build/html
	@$(BIN)/python -m sphinx -q -W -n --keep-going -j 2 -d docs/_build/doctrees docs docs/_build/html
	@echo "site: docs/_build/html/index.html"

site-links: env ## check the links of the site to other hosts (needs a network)
	@$(BIN)/python -m sphinx -q -b linkcheck -d docs/_build/doctrees docs docs/_build/linkcheck

lint: env ## ruff, mypy, import-linter
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: env ## let ruff mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: ## resolve the newest allowed versions into requirements.lock
	@bash .ci/uv.sh "$(PYTHON)" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --all-extras \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml --output-file requirements.lock

bench: env ## every analysis against what people write by hand, limits, growth, size: docs/performance.md (CAPTURES=dir)
	@bash .ci/uv.sh "$(PYTHON)" pip install --quiet --no-deps --python $(BIN)/python --target .tools/bench -r benchmarks/requirements.txt
	@$(BENCH).analyses $(STREAMS)
	@$(BENCH).limits $(STREAMS) --json benchmarks/results/limits.json
	@$(BENCH).interactive $(STREAMS) --json benchmarks/results/interactive.json
	@$(BENCH).growth $(STREAMS) --json benchmarks/results/growth.json
	@test ! -d $(STREAMS) || $(BENCH).transform $(STREAMS) --quick --cores 2 --json benchmarks/results/transform.json
	@test ! -d $(STREAMS) || $(BENCH).size $(STREAMS) --only simple_regression --json benchmarks/results/size.json
	@$(BENCH).page

bench-size: env ## bytes of the compacted lake against xz -6 of the streams (CAPTURES=dir)
	@$(BENCH).size $(STREAMS)

bench-ingest: env ## acknowledged uploads against a bare server, and the transform against DuckDB (CAPTURES=dir)
	@$(BIN)/python benchmarks/ingest.py $(STREAMS)
	@$(BENCH).transform $(STREAMS)

bench-spark: env ## each standard analysis on Spark against PySpark by hand, on 1,000 runs (CAPTURES=dir)
	@$(BENCH).spark $(STREAMS)

clean: ## remove what the commands above made
	rm -rf $(VENV) .venv-hub .tools "$(LAKE)" "$(REPORT)" .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .fuzz dist docs/_build docs/notebooks docs/commands.md
