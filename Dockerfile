# Switchyard's image: browser pages built with npm, the program in a virtual environment, no compiler and no root at run time.
FROM node:22-slim AS browser
WORKDIR /build
COPY app/browser/ ./
RUN npm install --no-audit --no-fund --loglevel=error && npm run --silent build

FROM python:3.12-slim AS program
WORKDIR /switchyard
RUN python -m venv /venv
COPY pyproject.toml README.md ./
COPY app/ app/
COPY core/ core/
COPY engine/ engine/
COPY jobs/ jobs/
COPY resolvers/ resolvers/
COPY rest_compat/ rest_compat/
COPY schema/ schema/
COPY storage/ storage/
COPY demo/ demo/
COPY --from=browser /build/dist/ app/browser/dist/
RUN /venv/bin/pip install --no-cache-dir --editable .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data switchyard && install -d -o switchyard /data
COPY --from=program /venv /venv
COPY --from=program /switchyard /switchyard
WORKDIR /switchyard
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 SWITCHYARD_DATA_DIR=/data SWITCHYARD_PROFILE=production
USER switchyard
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["switchyard"]
CMD ["serve", "--host", "0.0.0.0"]
