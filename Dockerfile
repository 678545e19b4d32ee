# One image for web, controller, worker and agent; docker-compose.yml says which command each runs.
FROM python:3.11-slim AS build
RUN apt-get update -q && apt-get install -y -q --no-install-recommends gettext && rm -rf /var/lib/apt/lists/*
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
WORKDIR /app
COPY manage.py ./
COPY scheduler scheduler
COPY nodeagent nodeagent
COPY console console
COPY templates templates
COPY static static
COPY locale* locale
ENV BERTH_STATIC_ROOT=/app/staticfiles
RUN python manage.py collectstatic --no-input --verbosity 0 \
    && for source in locale/*/LC_MESSAGES/*.po; do [ ! -e "$source" ] || msgfmt -o "${source%.po}.mo" "$source"; done \
    && python -m compileall -q console nodeagent scheduler

FROM python:3.11-slim
RUN groupadd --system --gid 10001 berth \
    && useradd --system --uid 10001 --gid berth --home-dir /var/lib/berth --create-home berth \
    && install -d -o berth -g berth -m 0700 /var/lib/berth-agent /var/lib/berth-logs \
    && install -d -o berth -g berth -m 0750 /var/lib/berth/tls
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=console.settings \
    BERTH_HOME=/var/lib/berth \
    BERTH_STATIC_ROOT=/app/staticfiles
WORKDIR /app
# The agent alone runs as root: it speaks to the engine's socket.
USER berth
EXPOSE 8000
CMD ["uvicorn", "console.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--http", "h11", \
     "--no-access-log", "--no-server-header", "--no-proxy-headers", "--lifespan", "off", "--timeout-graceful-shutdown", "3"]
