# Switchyard's image: browser pages built with npm, the program installed into a virtual environment; no compiler, no npm and
# no root at run time.
FROM node:22.23-bookworm-slim AS browser
WORKDIR /build
COPY app/browser/ ./
RUN npm install --no-audit --no-fund --loglevel=error && npm run --silent build

FROM python:3.12-slim-bookworm AS program
WORKDIR /source
RUN python -m venv /venv
COPY LICENSE README.md pyproject.toml ./
COPY app/ app/
COPY core/ core/
COPY demo/ demo/
COPY engine/ engine/
COPY jobs/ jobs/
COPY resolvers/ resolvers/
COPY rest_compat/ rest_compat/
COPY schema/ schema/
COPY storage/ storage/
COPY --from=browser /build/dist/ app/browser/dist/
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check '.[elasticsearch]'

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="Switchyard" \
      org.opencontainers.image.description="One GraphQL server for a research-data platform" \
      org.opencontainers.image.licenses="MIT"
# The uid is a number, so that a cluster can see that it is not root.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data /backups
COPY --from=program /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SWITCHYARD_DATA_DIR=/data SWITCHYARD_PROFILE=production
WORKDIR /backups
USER 10001:10001
VOLUME ["/data", "/backups"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
# In exec form, so that the server gets the signal itself and has its 20 seconds to end.
ENTRYPOINT ["switchyard"]
CMD ["serve", "--host", "0.0.0.0"]
