# syntax=docker/dockerfile:1
# check=error=true

# docker build -t trueup:0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# The stages: `manifests` forgets the sources, so that `build` builds the dependencies anew only when a manifest has changed;
# `renderer` builds the program in Go; the image itself holds these two binaries. It runs as 65532 with a read-only root: compose.yaml and deploy/ do.

# As in rust-toolchain.toml.
ARG RUST_VERSION=1.95.0
# As in renderer/go.mod.
ARG GO_VERSION=1.26

FROM rust:${RUST_VERSION}-slim-trixie AS manifests
WORKDIR /src
COPY . .
# What a manifest names, or cargo finds by itself, must be there: empty libraries, and programs and tests that do nothing.
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -regex '.*/src/\(lib\|main\|bin/[^/]*\)\.rs' \
        ! -regex '.*/tests/\([^/]*\|[^/]*/main\)\.rs' -delete \
    && find . -type f -name lib.rs -exec truncate --size 0 {} + \
    && find . -type f -name '*.rs' ! -name lib.rs -exec sh -c 'for file; do echo "fn main() { }" > "$file"; done' sh {} +

FROM rust:${RUST_VERSION}-slim-trixie AS build
# `dev` builds in a third of the time; its directory is `debug`.
ARG PROFILE=release
ARG PROFILE_DIRECTORY=release
# The image has no libz.
ENV CARGO_TARGET_DIR=/target LIBZ_SYS_STATIC=1
WORKDIR /src
COPY --from=manifests /src .
RUN cargo build --locked --package trueup --profile "$PROFILE"
COPY . .
ARG REVISION=unknown
# Touched, since the empty sources before them may be younger.
RUN find crates -name '*.rs' -exec touch {} + \
    && TRUEUP_BUILD_COMMIT="$REVISION" cargo build --locked --package trueup --profile "$PROFILE" \
    && install -D "$CARGO_TARGET_DIR/$PROFILE_DIRECTORY/trueup" image/trueup

FROM golang:${GO_VERSION}-trixie AS renderer
WORKDIR /src
COPY renderer .
# Without C it needs nothing of the image.
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o image/trueup-renderer .

# Certificates, time zones and the C library, without a shell or a package manager; its user is 65532.
FROM gcr.io/distroless/cc-debian13:nonroot
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Trueup" \
      org.opencontainers.image.description="Keeps Kubernetes clusters exactly as Git says" \
      org.opencontainers.image.url="https://trueup.dev" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /src/image/trueup /usr/local/bin/trueup
COPY --from=renderer /src/image/trueup-renderer /usr/local/bin/trueup-renderer
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/trueup"]
CMD ["controller"]
