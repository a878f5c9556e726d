# syntax=docker/dockerfile:1
# Two images: api (the HTTP API, neither torch nor ray) and worker (Ray head, Ray nodes, runner, migration, dashboard).
#   docker build --target api --tag vi3nr-api:0.1.0 .
#   docker build --target worker --tag vi3nr-worker:0.1.0 .
# torch is the CPU build; for NVIDIA GPUs: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 vi3nr && useradd --create-home --uid 10001 --gid 10001 vi3nr \
    && install --directory --owner=vi3nr --group=vi3nr /data

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# The environments have no pip of their own: that of the build installs into them.
RUN python -m venv --without-pip /opt/vi3nr
COPY requirements.lock ./
RUN pip install --constraint requirements.lock setuptools

FROM build AS build-api
COPY requirements-api.lock ./
RUN pip --python /opt/vi3nr/bin/python install --requirement requirements-api.lock
COPY pyproject.toml README.md LICENSE ./
COPY vi3nr vi3nr
COPY workers workers
COPY service service
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/vi3nr/bin/python install --no-deps /wheels/*.whl

FROM build AS build-worker
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements-worker.lock ./
RUN pip --python /opt/vi3nr/bin/python install --extra-index-url "$TORCH_INDEX" --requirement requirements-worker.lock
COPY --from=build-api /wheels /wheels
RUN pip --python /opt/vi3nr/bin/python install --no-deps /wheels/*.whl

FROM base AS api
COPY --from=build-api /opt/vi3nr /opt/vi3nr
ENV PATH=/opt/vi3nr/bin:$PATH VI3NR_DATA_DIR=/data
USER 10001:10001
WORKDIR /home/vi3nr
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=6 \
    CMD ["python", "-c", "from service.own_server import ask; ask('http://127.0.0.1:8000/readyz', 5)"]
ENTRYPOINT ["vi3nr"]
CMD ["api", "--host", "0.0.0.0"]

FROM base AS worker
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# On a GPU the elementwise parts are compiled by triton, which calls a C compiler.
# hadolint ignore=DL3008
RUN case "$TORCH_INDEX" in \
    */cu*) apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/* ;; \
    esac
COPY --from=build-worker /opt/vi3nr /opt/vi3nr
ENV PATH=/opt/vi3nr/bin:$PATH VI3NR_DATA_DIR=/data VI3NR_RAY_ADDRESS="" \
    RAY_USAGE_STATS_ENABLED=0 RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
USER 10001:10001
WORKDIR /home/vi3nr
VOLUME /data
# Of a node of the cluster that VI3NR_RAY_ADDRESS names; other roles bring their own.
HEALTHCHECK --interval=30s --timeout=30s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "ray health-check --address \"$VI3NR_RAY_ADDRESS\""]
ENTRYPOINT ["vi3nr"]
CMD ["runner"]
