# The server in a container. docs/how-to/containers.md says how it is run; docker-compose.yml runs it.
#
#   docker build --tag switchback .

FROM rust:1.95-slim-bookworm AS build
# `quick` takes a small part of the time, for tests.
ARG PROFILE=release
WORKDIR /src
COPY . .
RUN cargo build --locked --profile "$PROFILE" \
 && install -D -m 0755 target/*/switchback /image/usr/bin/switchback

FROM debian:bookworm-slim
# The roots by which probes and calls over HTTPS judge certificates.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
# A number of its own, so that what it writes into a volume is the same user's in every image.
RUN useradd --system --user-group --uid 953 --no-create-home --home-dir /var/lib/switchback \
      --shell /usr/sbin/nologin switchback \
 && install -d -o switchback -g switchback -m 0750 /var/lib/switchback /run/switchback \
 && install -d -m 0755 /etc/switchback
COPY --from=build /image /
# By number: who runs it can see that it is not root.
USER 953:953
VOLUME /var/lib/switchback
EXPOSE 53/udp 53/tcp
# Whether the daemon answers. A dead edge is no reason to restart it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["switchback", "status", "--alive"]
ENTRYPOINT ["switchback"]
CMD ["serve", "--config", "/etc/switchback/switchback.toml"]
