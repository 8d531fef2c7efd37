# The first stage builds the bot; the second contains only Python and the installed bot.
#
# The base image is pinned by tag. To pin its content as well, add the digest in both stages:
#   docker buildx imagetools inspect python:3.11.14-slim-bookworm    → FROM python:3.11.14-slim-bookworm@sha256:…
# .ci/check_dockerfile.py checks this file's rules and runs its build steps without Docker.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /app/venv
# All dependencies, including the build backend, at the versions and hashes of the lock file.
COPY requirements.lock ./
RUN /app/venv/bin/pip install --quiet --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
RUN /app/venv/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /dist . \
    && /app/venv/bin/pip install --quiet --no-deps /dist/flokit_bot-*.whl
RUN mkdir /data

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="flokit-bot" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /app/venv /app/venv
COPY --from=build --chown=10001:10001 /data /data
# HOME: the numeric user has none, and Slack's SDK needs one at import.
ENV PATH=/app/venv/bin:$PATH \
    HOME=/app \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=3000 \
    LOG_FORMAT=json \
    DATABASE_URL=sqlite+aiosqlite:////data/flokit.db
WORKDIR /app
VOLUME ["/data"]
EXPOSE 3000
# Numeric, so that Kubernetes can enforce runAsNonRoot.
USER 10001:10001
# /livez, not /readyz: while Slack is down, a restart doesn't help.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=4)"]
ENTRYPOINT ["flokit-bot"]
CMD ["run"]
