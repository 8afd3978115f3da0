FROM rust:1.95-slim-trixie AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --user-group --no-create-home --shell /usr/sbin/nologin switchback \
 && install -d -o switchback -g switchback -m 0750 /var/lib/switchback /run/switchback
COPY --from=build /src/target/release/switchback /usr/local/bin/switchback
USER switchback
VOLUME /var/lib/switchback
# A configuration that is run here listens on ports above 1023, or the container is given
# NET_BIND_SERVICE.
EXPOSE 5300/udp 5300/tcp
ENTRYPOINT ["switchback"]
CMD ["serve", "--config", "/etc/switchback/switchback.toml"]
