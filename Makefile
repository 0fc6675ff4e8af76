# Two commands: `make demo` and `make test`. They need Python >= 3.11 and make, nothing else.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
BIN := .venv/bin
PACKAGES := darts_utils darts_train_utils darts_preprocessing darts_segmentation darts_ensemble darts_postprocessing darts_export darts_nextgen
MODELS := darts-nextgen/src/darts_nextgen/demo/models
MEMBERS := $(wildcard darts-*/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install develop demo test coverage test-all test-gpu lint format types contracts docs check lock dist bench bench-gpu difficulty demo-models demo-scores dataset-truth real-scene ray-scaling clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

install: .venv/.installed ## the environment that runs DARTS, from requirements.lock

develop: .venv/.developed ## the same plus what tests, checks and docs need, from requirements-dev.lock

demo: install ## map the thaw slumps of the sample scene
	$(BIN)/darts demo --out demo-output

test: develop ## the whole test suite, without what is marked slow or gpu
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu"

coverage: develop ## the same suite, and which lines it does not reach (takes half as long again)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu" --cov --cov-report=term

test-all: develop ## the slow tests too
	$(BIN)/python -m pytest -m "not gpu"

test-gpu: develop ## the tests that need a CUDA device (installs CuPy)
	$(UV) pip install --quiet --python .venv -e "darts-utils[gpu]"
	$(BIN)/python -m pytest -m gpu

lint: develop ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: develop ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: develop ## mypy --strict on every package
	$(BIN)/mypy $(addprefix -p ,$(PACKAGES))

contracts: develop ## who may import whom
	$(BIN)/lint-imports

docs: develop ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

check: lint types contracts docs ## everything but the tests

lock: $(UV) ## compute requirements.lock and requirements-dev.lock anew
	$(PYTHON) scripts/lock.py --uv $(UV)

dist: $(UV) ## a wheel of every package, into dist/
	rm -rf dist
	$(UV) build --quiet --all-packages --wheel --out-dir dist

bench: develop ## ours against the libraries of today, into benchmarks/RESULTS.md (NAMES="slope ndvi": only those)
	$(BIN)/python -m benchmarks $(NAMES)

bench-gpu: develop ## the benchmarks that need a CUDA device (installs CuPy)
	$(UV) pip install --quiet --python .venv -e "darts-utils[gpu]"
	$(BIN)/python -m benchmarks --gpu $(NAMES)

difficulty: develop ## how far thresholds and per-pixel classifiers get on the synthetic Arctic
	$(BIN)/python scripts/demo_models/difficulty.py

demo-models: install ## train the demo's two models; they replace the old ones if better (see scripts/demo_models/README.md)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/demo_models/train.py --out demo-models-output
	$(BIN)/python scripts/demo_models/evaluate.py --models demo-models-output/models --against $(MODELS) --replace

demo-scores: install ## the scores of the demo's models on held-out synthetic scenes
	$(BIN)/python scripts/demo_models/evaluate.py --write

dataset-truth: install ## a synthetic archive of three years through the pipeline, its data set against the truth (see scripts/dataset_truth/README.md)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/dataset_truth/evaluate.py --json dataset-truth.json

real-scene: install ## a real Sentinel-2 scene against experts: the optical model as it is, and trained on one half (DARTS_DATA: real data)
	$(BIN)/python scripts/real_scene/evaluate.py
	$(BIN)/python scripts/real_scene/cross_validate.py

ray-scaling: develop ## a recorded run replayed on Ray clusters of fake GPUs, into docs/plots (see scripts/ray_scaling/README.md)
	OMP_NUM_THREADS=1 $(BIN)/python scripts/ray_scaling/simulate.py --plot docs/plots/ray-scaling.svg

clean: ## remove environments, caches and outputs
	rm -rf .venv .tools dist site demo-output demo-models-output real-scene-output .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "DARTS needs Python 3.11 or newer, but $(PYTHON) is `$(PYTHON) -V`: run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.created: | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	touch $@

.venv/.installed: requirements.lock $(MEMBERS) .venv/.created | $(UV)
	$(UV) pip install --quiet --compile-bytecode --python .venv -r requirements.lock
	touch $@

.venv/.developed: requirements-dev.lock $(MEMBERS) .venv/.created | $(UV)
	$(UV) pip install --quiet --compile-bytecode --python .venv -r requirements-dev.lock
	touch $@ .venv/.installed
