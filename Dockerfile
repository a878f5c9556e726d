# One image for every role; the command decides: api, runner, dashboard or db upgrade.
# CPU build of torch by default; for CUDA: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
FROM python:3.11-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/vi3nr
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN /opt/vi3nr/bin/pip install --extra-index-url "$TORCH_INDEX" --requirement requirements.lock
COPY vi3nr vi3nr
COPY workers workers
COPY service service
RUN /opt/vi3nr/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 vi3nr && mkdir /data && chown vi3nr /data
COPY --from=build /opt/vi3nr /opt/vi3nr
ENV PATH=/opt/vi3nr/bin:$PATH VI3NR_DATA_DIR=/data PYTHONUNBUFFERED=1
USER vi3nr
WORKDIR /home/vi3nr
VOLUME /data
ENTRYPOINT ["vi3nr"]
CMD ["--help"]
