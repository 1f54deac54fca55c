# One image, two ways to run: an HTTP server, or an AWS Lambda function.
#
#   docker run -p 3000:3000 tuneship            serve over HTTP (tuneship serve); on SageMaker and Vertex AI at their ports
#   docker run tuneship lambda                  the Lambda runtime loop (awslambdaric)
#   docker run -p 3000:3000 tuneship bentoml    the same app inside BentoML's server
#   docker run tuneship verify                  re-check the bundle in the image
#
# Build it with `make image BUNDLE=…`, which copies the bundle to ./bundle first.

# With --build-arg ONNXRUNTIME='onnxruntime-gpu[cuda,cudnn]==1.31.1' the image serves bundles that were proven on a GPU.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
ARG ONNXRUNTIME=
COPY requirements.txt /tmp/
RUN if [ -n "$ONNXRUNTIME" ]; then sed -i "s/^onnxruntime==.*/$ONNXRUNTIME/" /tmp/requirements.txt; fi \
 && python -m pip install --no-cache-dir --target /opt/packages -r /tmp/requirements.txt
# Remove what a server never uses:
# - libonnxruntime.so is for C programs; the Python module contains the library
# - onnxruntime's model tools are for the export
# - the packages' tests
RUN rm -rf /opt/packages/onnxruntime/capi/libonnxruntime.so.* \
           /opt/packages/onnxruntime/transformers /opt/packages/onnxruntime/quantization \
           /opt/packages/onnxruntime/tools /opt/packages/onnxruntime/datasets \
 && find /opt/packages -type d \( -name tests -o -name test \) -prune -exec rm -rf {} +

FROM ${BASE}
COPY --from=packages /opt/packages /opt/packages
WORKDIR /app
COPY tuneship.py ./
COPY batch ./batch
COPY commands ./commands
COPY serving ./serving
COPY stores ./stores
COPY deploy/entrypoint.sh ./
COPY bundle ./bundle
ENV PYTHONPATH=/opt/packages:/app \
    PYTHONUNBUFFERED=1 \
    TUNESHIP_CACHE_DIR=/var/cache/tuneship \
    ORT_DISABLE_TELEMETRY=1 \
    BENTOML_DO_NOT_TRACK=True \
    HF_HUB_DISABLE_TELEMETRY=1
# Make all files readable for the user below, compile them (the root may be read-only later), and verify the bundle.
RUN find /app ! -perm -o=r -exec chmod a+rX {} + \
 && python -m compileall -q batch commands serving stores tuneship.py \
 && python -m tuneship verify bundle \
 && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tuneship \
 && install --directory --owner 10001 --group 10001 /var/cache/tuneship
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 3000 8080
# SageMaker may tell the port, of which an inference pipeline needs several.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-m", "serving.entrypoints.health_check"]
# AWS Lambda may take snapshots (SnapStart): awslambdaric's restore hooks renew what must differ
LABEL com.amazonaws.lambda.feature.snapstart="Allow"
ENTRYPOINT ["/app/entrypoint.sh"]
CMD ["serve"]
