# A bundle as an image, which KServe mounts: no program, no user, one layer.
#
#   docker build --file deploy/kserve/model.Dockerfile --tag registry.example.com/models/support bundles/support
#
# KServe's sidecar mode (oci:// without ociModelMode: native) runs a shell in the image: --build-arg BASE=busybox@sha256:…
ARG BASE=scratch
FROM ${BASE}
COPY . /models
