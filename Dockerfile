# One image, two ways to run: an HTTP server, or an AWS Lambda function.
#
#   docker run -p 3000:3000 tuneship            serve over HTTP (tuneship serve); on SageMaker and Vertex AI at their ports
#   docker run tuneship lambda                  the Lambda runtime loop (awslambdaric)
#   docker run -p 3000:3000 tuneship bentoml    the same app inside BentoML's server
#   docker run tuneship verify                  re-check the bundle in the image
#
# Build it with `make image BUNDLE=…`, which copies the bundle to ./bundle first.
#
# Two builds give the same layers, with BuildKit and without: wheels are pinned by hash, and all files of a layer have one
# time. A layer changes only with its files, so a new bundle moves the last layer alone. Hence the stages below lay out
# folders that the final stage copies onto its root: RUN, WORKDIR or `COPY … /app` would write the time of the build.

ARG BASE=python:3.11-slim-bookworm
# `distroless` has Python and the libraries it needs, but no shell and no package manager.
ARG FINAL=slim

FROM ${BASE} AS packages
ENV PYTHONHASHSEED=0
# With --build-arg DEVICE=cuda the image serves bundles that were proven on a GPU.
ARG DEVICE=cpu
COPY deploy/image/requirements-${DEVICE}.txt /build/requirements.txt
COPY deploy/image/install.py deploy/image/shrink.py deploy/image/symbols.py deploy/image/standard_library.py /build/deploy/image/
RUN cd /build && python -m deploy.image.install requirements.txt /out/opt/packages \
 && python -m deploy.image.standard_library /out \
 && python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/opt/packages \
 && chmod -R u=rwX,go=rX /out && find /out -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +

FROM ${BASE} AS code
ENV PYTHONHASHSEED=0
COPY tuneship.py deploy/image/entrypoint.py /out/app/
COPY batch /out/app/batch
COPY commands /out/app/commands
COPY serving /out/app/serving
COPY stores /out/app/stores
# The root may be read-only later: hence compiled, and with a folder for bundles that are fetched. The user has no password.
RUN python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/app \
 && mkdir -p /out/etc /out/var/cache/tuneship && cp /etc/passwd /etc/group /out/etc/ \
 && echo 'tuneship:x:10001:10001::/nonexistent:/usr/sbin/nologin' >> /out/etc/passwd \
 && echo 'tuneship:x:10001:' >> /out/etc/group \
 && chmod -R u=rwX,go=rX /out && chown 10001:10001 /out/var/cache/tuneship \
 && find /out -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +

FROM packages AS model
COPY --from=code /out/app /build/app
COPY bundle /model/app/bundle
RUN cd /build/app && PYTHONPATH=/out/opt/packages:. PYTHONDONTWRITEBYTECODE=1 python -m tuneship verify /model/app/bundle \
 && chmod -R u=rwX,go=rX /model && find /model -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +

FROM packages AS rootfs
ARG FINAL
COPY deploy/image/rootfs.py /build/deploy/image/
# A builder that isn't BuildKit runs this for the slim image too.
RUN mkdir -p /rootfs && if [ "$FINAL" = distroless ]; then cd /build \
 && python -m deploy.image.rootfs /rootfs /out/opt/packages \
 && { [ -d /out/usr ] || python -m compileall -q -s /rootfs --invalidation-mode unchecked-hash /rootfs/usr; } \
 && chmod 1777 /rootfs/tmp && find /rootfs -exec touch --no-dereference --date=1980-01-01T00:00:00Z {} +; fi

FROM ${BASE} AS slim

FROM scratch AS distroless
COPY --from=rootfs /rootfs /
ENV PATH=/usr/local/bin:/usr/bin LANG=C.UTF-8

FROM ${FINAL}
COPY --from=packages /out /
COPY --from=code /out /
WORKDIR /app
ENV PYTHONPATH=/opt/packages:/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TUNESHIP_CACHE_DIR=/var/cache/tuneship \
    ORT_DISABLE_TELEMETRY=1 \
    BENTOML_DO_NOT_TRACK=True \
    HF_HUB_DISABLE_TELEMETRY=1
USER 10001:10001
EXPOSE 3000 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-m", "serving.entrypoints.health_check"]
ENTRYPOINT ["python", "/app/entrypoint.py"]
CMD ["serve"]
# `make image` adds version, revision, time and the bundle's digest.
LABEL org.opencontainers.image.title=tuneship \
      org.opencontainers.image.description="A fine-tuned text model with its proof, served over HTTP or on AWS Lambda" \
      org.opencontainers.image.licenses=Apache-2.0
# AWS Lambda may take snapshots (SnapStart): awslambdaric's restore hooks renew what must differ.
LABEL com.amazonaws.lambda.feature.snapstart=Allow
# SageMaker may tell the port, of which an inference pipeline needs several.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
COPY --from=model /model /
