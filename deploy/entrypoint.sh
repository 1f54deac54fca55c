#!/bin/sh
# What `docker run tuneship [MODE]` does. Inside AWS Lambda the mode need not be named.
set -eu

mode=${1:-serve}
[ $# -eq 0 ] || shift
[ -n "${AWS_LAMBDA_RUNTIME_API:-}" ] && [ "$mode" = serve ] && mode=lambda

case $mode in
    serve)
        exec python -m tuneship serve "$TUNESHIP_BUNDLE" --host 0.0.0.0 "$@" ;;
    lambda)
        exec python -m awslambdaric "${1:-serving.lambda_handler.handler}" ;;
    bentoml)
        # BentoML keeps sockets and counters in files; under a read-only root only shared memory can hold them.
        [ -w "${TMPDIR:-/tmp}" ] || export TMPDIR=/dev/shm
        export BENTOML_HOME="${BENTOML_HOME:-${TMPDIR:-/tmp}/bentoml}"
        exec python -m bentoml serve serving.service:Tuneship --host 0.0.0.0 --port "${PORT:-3000}" "$@" ;;
    verify)
        exec python -m tuneship verify "$TUNESHIP_BUNDLE" "$@" ;;
    *)
        exec "$mode" "$@" ;;
esac
