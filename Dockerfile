# One image per service: `docker build --build-arg SERVICE=gateway -t vitrine-gateway .`
# Services: gateway, billing, generator, vpn (also vpn-agent), scheduler, simulators, operator.
# `make images` builds and tries all of them; tools/src/vitrine_tools/images runs in here.
ARG BASE=python:3.11-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
ARG SERVICE
COPY requirements/${SERVICE}.lock /opt/requirements.lock
# pip stays outside of what is shipped: it installs into the other environment from here.
RUN --mount=type=cache,target=/var/cache/pip \
    python -m venv /opt/pip \
    && python -m venv --without-pip /opt/venv \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install --disable-pip-version-check --quiet \
       --cache-dir /var/cache/pip --require-hashes --no-deps --only-binary=:all: --no-compile \
       --report /opt/report.json --requirement /opt/requirements.lock
ARG SOURCE_DATE_EPOCH=0
# Copied, not mounted: buildah would take an old layer for the same command over new sources.
COPY . /source
RUN PYTHONPATH=/source/tools/src python -B -m vitrine_tools.images.assemble \
       "${SERVICE}" /source /image "${SOURCE_DATE_EPOCH}"

# hadolint ignore=DL3006
FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
COPY --from=build /image/app /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    LOGNAME=vitrine \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
# Health and metrics; webhooks or links; the agent of a VPN node.
EXPOSE 8080 8081 8443
STOPSIGNAL SIGTERM
# Process 1 passes signals on and buries orphans. No HEALTHCHECK: /livez and /readyz are the
# orchestrator's to ask, and an OCI image has no place for one.
ENTRYPOINT ["/opt/venv/bin/python", "-I", "-S", "/app/init.py"]
CMD ["service"]
ARG SERVICE
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="vitrine-${SERVICE}" \
      org.opencontainers.image.description="Vitrine: ${SERVICE}" \
      org.opencontainers.image.vendor="Vitrine" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
