# The bot in a container: built in one stage, run in another that holds nothing but Python and the installed bot.
#
# The base is pinned by its version tag. To pin its content as well, write the digest behind it, in both stages:
#   docker buildx imagetools inspect python:3.11.14-slim-bookworm    → FROM python:3.11.14-slim-bookworm@sha256:…
# .ci/check_dockerfile.py holds the rules of this file and runs its build steps without Docker.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python3 -m venv /app/venv
# Every dependency, the build backend included, at the version and with the hash of the lock.
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
# HOME: the user has no name and so no home by itself, and Slack's SDK asks for one while it is imported.
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
# By number, so that Kubernetes' runAsNonRoot can tell.
USER 10001:10001
# Alive, not ready: a container is not restarted because Slack is away.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=4)"]
ENTRYPOINT ["flokit-bot"]
CMD ["run"]
