FROM python:3.11-slim-bookworm AS build

ENV PIP_CONSTRAINT=/src/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/kaiju

# Dependencies change seldom and come first, so that editing code does not install them again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))" > requirements.txt \
    && /opt/kaiju/bin/pip install -r requirements.txt

COPY README.md LICENSE ./
COPY actors actors
COPY gateways gateways
COPY kaiju kaiju
COPY topology topology
RUN /opt/kaiju/bin/pip install --no-deps .


FROM python:3.11-slim-bookworm

# Matplotlib keeps a cache of fonts; the rest of the file system may be read-only.
ENV PATH=/opt/kaiju/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin kaiju \
    && install -d -o kaiju -g kaiju /kaiju/data /kaiju/keys \
    && install -d -o kaiju -g kaiju -m 700 /kaiju/secret /kaiju/token \
    && install -d /kaiju/user
COPY --from=build /opt/kaiju /opt/kaiju
WORKDIR /kaiju
COPY topology/*.yaml topology/

USER 10001
VOLUME /kaiju/data
EXPOSE 7000 7001 7002
ENTRYPOINT ["kaiju"]
CMD ["--help"]
