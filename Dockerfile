# syntax=docker/dockerfile:1
# Two stages: the first builds, the second holds one binary and the configuration, and runs it without root.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked -p server

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/claviger --create-home claviger
WORKDIR /var/lib/claviger
COPY --from=build /build/target/release/claviger /usr/local/bin/claviger
COPY --from=build /build/config ./config
# What the server writes (a SQLite file, a generated key-encryption key) goes into one folder, made for a volume.
RUN install -d -o claviger -g claviger -m 0700 claviger-data
USER claviger
VOLUME /var/lib/claviger/claviger-data
# 8080 is for the public, 9090 (health, metrics) is not.
EXPOSE 8080 9090
ENTRYPOINT ["claviger"]
CMD ["serve"]
