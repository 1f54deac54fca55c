#!/bin/sh
# Runs `docker run tuneship [MODE]`. On AWS Lambda the default mode is lambda.
set -eu

mode=${1:-serve}
[ $# -eq 0 ] || shift
[ -n "${AWS_LAMBDA_RUNTIME_API:-}" ] && [ "$mode" = serve ] && mode=lambda

case $mode in
    serve)
        exec python -m tuneship serve --host 0.0.0.0 "$@" ;;
    lambda)
        exec python -m serving.entrypoints.aws_lambda "$@" ;;
    bentoml)
        # BentoML needs files for sockets and counters; with a read-only root they go to shared memory.
        [ -w "${TMPDIR:-/tmp}" ] || export TMPDIR=/dev/shm
        export BENTOML_HOME="${BENTOML_HOME:-${TMPDIR:-/tmp}/bentoml}"
        exec python -m bentoml serve serving.service:Tuneship --host 0.0.0.0 --port "$(python -m serving.settings.platforms)" "$@" ;;
    verify)
        exec python -m tuneship verify "${TUNESHIP_BUNDLE:-/app/bundle}" "$@" ;;
    *)
        exec "$mode" "$@" ;;
esac
