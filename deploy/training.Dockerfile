# An image that trains: what deploy/kubernetes/train-job.yaml runs. The one that serves is ../Dockerfile.
#
#   docker build --file deploy/training.Dockerfile --tag tuneship-train .
#   docker run --read-only --tmpfs /tmp --volume "$PWD/runs:/runs" tuneship-train RECIPE --output /runs/one
#
# torch is its build for CPUs; for NVIDIA's GPUs:
#   --build-arg PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cu130"
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
ARG PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
COPY pyproject.toml requirements-dev.txt /tmp/
# Only what training and object stores need, in the versions that everything is tested with.
RUN python -c "import tomllib; \
project = tomllib.load(open('/tmp/pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
print('\n'.join([*project['dependencies'], *extras['train'], *extras['s3'], *extras['gcs'], *extras['tensorboard']]))" \
    > /tmp/requirements.txt \
 && python -m pip install --no-cache-dir ${PIP_ARGS} \
      --constraint /tmp/requirements-dev.txt --requirement /tmp/requirements.txt \
 && rm /tmp/pyproject.toml /tmp/requirements.txt /tmp/requirements-dev.txt
WORKDIR /app
COPY tuneship.py ./
COPY batch ./batch
COPY checks ./checks
COPY commands ./commands
COPY export ./export
COPY inspection ./inspection
COPY onboarding ./onboarding
COPY search ./search
COPY serving ./serving
COPY stores ./stores
COPY trainer ./trainer
# HOME and every cache are on /tmp: mount something there, and the root may be read-only.
ENV PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TUNESHIP_CACHE_DIR=/tmp/tuneship \
    HF_HOME=/tmp/huggingface \
    MPLCONFIGDIR=/tmp/matplotlib \
    ORT_DISABLE_TELEMETRY=1 \
    BENTOML_DO_NOT_TRACK=True \
    HF_HUB_DISABLE_TELEMETRY=1
RUN find /app ! -perm -o=r -exec chmod a+rX {} + \
 && python -m compileall -q batch checks commands export search serving stores trainer tuneship.py \
 && python -m tuneship train --help > /dev/null \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tuneship
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["python", "-m", "tuneship", "train"]
