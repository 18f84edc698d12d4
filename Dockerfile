# One image for API and CPU workers (target cpu), one for GPU workers (target worker-gpu); compose.yaml names commands.
FROM python:3.11-slim-bookworm AS python
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

FROM python AS wheel
COPY requirements.lock ./
# Of what develops the project only what builds it, with its hashes.
RUN awk '/^[^ #]/ {keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/} keep' requirements.lock > build.lock \
    && pip install --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY services services
COPY workers workers
COPY api api
COPY client client
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . ./client

FROM python AS installed-cpu
RUN python -m venv --without-pip /opt/lookalike
COPY requirements-cpu.lock ./
RUN pip --python /opt/lookalike install --require-hashes --only-binary :all: -r requirements-cpu.lock
COPY --from=wheel /build/dist dist
RUN pip --python /opt/lookalike install --no-deps --no-index dist/*.whl

FROM python AS installed-gpu
RUN python -m venv --without-pip /opt/lookalike
COPY requirements-gpu.lock ./
RUN pip --python /opt/lookalike install --require-hashes --only-binary :all: -r requirements-gpu.lock
COPY --from=wheel /build/dist dist
RUN pip --python /opt/lookalike install --no-deps --no-index dist/*.whl

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/lookalike/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A new volume on /data takes its owner from here; in the home Keras keeps the weights that it fetches.
RUN useradd --uid 10001 --create-home lookalike && install -d -o lookalike -g lookalike /data
WORKDIR /home/lookalike
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS worker-gpu
# What the images of CUDA say; without it some runtimes bring no compute library.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=installed-gpu /opt/lookalike /opt/lookalike

FROM runtime AS cpu
COPY --from=installed-cpu /opt/lookalike /opt/lookalike
