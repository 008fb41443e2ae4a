# The service and the worker; Label Studio has its own image (see docker-compose.yml).
# For a GPU the CUDA build of torch comes from the package index; the driver is the host's.
FROM python:3.12-slim

RUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY labeler labeler
COPY model model
COPY backend backend
RUN pip install --no-cache-dir ".[postgres,redis]"

# The same user as in Label Studio's image, so that both can read the shared folder.
RUN useradd --uid 1001 --gid 0 --create-home mvps
USER 1001
ENV MVPS_WORKSPACE=/data/workspace
EXPOSE 9090
ENTRYPOINT ["mvps"]
CMD ["serve", "--host", "0.0.0.0"]
