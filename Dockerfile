# The operator's image: the wheel that was released and its locked dependencies, on a base without shell or package manager.
#
#   uv build --wheel                      (makes dist/nodegate-<version>-py3-none-any.whl)
#   docker build -t nodegate:0.1.0 .
#
# Both stages carry Python 3.11 on Debian 12, so that what is compiled in the first one runs in the second. A release names the
# digests as well: --build-arg BUILDER_DIGEST=@sha256:… --build-arg RUNTIME_DIGEST=@sha256:…
ARG BUILDER_DIGEST=""
ARG RUNTIME_DIGEST=""

FROM python:3.11-slim-bookworm${BUILDER_DIGEST} AS builder
ARG VERSION=0.1.0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONHASHSEED=0
WORKDIR /build
COPY requirements/operator.txt ./
# A virtual environment would name the builder's interpreter, which the next stage lacks; a directory serves any Python 3.11.
# Only wheels: nothing is compiled, and no code of a dependency runs while the image is built.
RUN python -m pip install --require-hashes --only-binary=:all: --no-compile --target=/app/lib -r operator.txt
COPY dist/nodegate-${VERSION}-py3-none-any.whl ./
# The root file system is read-only, so the byte code is made here, without the timestamps that would differ with each build.
RUN python -m pip install --no-deps --no-index --no-compile --target=/app/lib ./nodegate-${VERSION}-py3-none-any.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /app/lib

FROM gcr.io/distroless/python3-debian12:nonroot${RUNTIME_DIGEST}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="nodegate" \
      org.opencontainers.image.description="Approves kubelet certificates against one NodeEnrollment per node" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# PYTHONSAFEPATH keeps the working directory out of the search path, so nothing mounted there can take a module's place.
ENV PYTHONPATH=/app/lib \
    PYTHONSAFEPATH=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Owned by root: the process can read its code and never change it.
COPY --from=builder /app/lib /app/lib
WORKDIR /app
USER 65532:65532
EXPOSE 8080 8443
# Exec form: SIGTERM reaches Python itself, which gives the lease back.
ENTRYPOINT ["/usr/bin/python3", "-m", "nodegate"]
CMD ["operator"]
