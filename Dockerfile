# docker build -t wsproxy .        (linux/amd64 or linux/arm64)
#
# test/scripts/image.test.ts runs these stages as commands, starts the result and connects to it.
# scripts/image.mjs prints the size of the image.

# The compiled gateway and its packages in one file. JavaScript is the same on every platform, so this stage runs on the builder's.
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c AS compiled
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY tsconfig.json ./
COPY src src
# The one file of the client that commands share.
COPY client/src/frames.ts client/src/
COPY tools/bundle.mjs tools/lazy.mjs tools/licences.mjs tools/load.cjs tools/
RUN node_modules/.bin/tsc --project . --sourceMap false
RUN node tools/bundle.mjs
RUN rm -r dist/client
# Keeps the files of src that the gateway reads at run time.
RUN find src -name '*.ts' -delete

# The native modules and the optional packages, with only the binaries of this platform and this Node version.
FROM node:22-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c AS packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY scripts/peers.mjs scripts/trim.mjs scripts/
# Optional packages of the image. --build-arg PEERS="@opentelemetry/ @sentry/node" adds Sentry (SENTRY_DSN),
# which is larger than all other packages; an empty value leaves out traces as well.
ARG PEERS=@opentelemetry/
RUN node scripts/peers.mjs $PEERS
RUN npm ci --omit=dev --no-audit --no-fund --loglevel=error
RUN cp -r node_modules untrimmed
RUN node scripts/trim.mjs node_modules
# It gives the thread for passwords only the time that nothing else wants (docs/guide/users.md).
RUN cp $(command -v chrt) chrt && cp /usr/share/doc/util-linux/copyright chrt.copyright

# V8's code of the gateway, for just the Node of the image. The embedded Redis of development lets it start here.
FROM gcr.io/distroless/nodejs22-debian12:nonroot@sha256:13593b7570658e8477de39e2f4a1dd25db2f836d68a0ba771251572d23bb4f8e AS code
WORKDIR /app
USER 0
COPY package.json ./
COPY scripts/code-cache.mjs scripts/
COPY --from=packages /app/untrimmed node_modules
COPY --from=compiled /app/dist dist
COPY --from=compiled /app/src src
RUN ["/nodejs/bin/node", "--max-semi-space-size=4", "scripts/code-cache.mjs", "dist"]

FROM gcr.io/distroless/nodejs22-debian12:nonroot@sha256:13593b7570658e8477de39e2f4a1dd25db2f836d68a0ba771251572d23bb4f8e
LABEL org.opencontainers.image.title="wsproxy" \
      org.opencontainers.image.description="A WebSocket gateway in front of Redis" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=code /app/dist dist
COPY --from=compiled /app/src src
COPY LICENSE NOTICE /licenses/
COPY --from=compiled /app/dist/THIRD-PARTY.txt /licenses/
COPY --from=packages /app/chrt /usr/bin/chrt
COPY --from=packages /app/chrt.copyright /licenses/util-linux.txt
# The gateway writes no file, so run it with a read-only root file system.
ENV NODE_ENV=production LISTEN_ADDR=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 \
  CMD ["/nodejs/bin/node", "--max-semi-space-size=4", "dist/src/cli/main.js", "health", "--alive"]
# A small young generation keeps its garbage collections short (bench/NOTES.md). V8's code counts only under the same
# flags.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=4", "dist/src/cli/main.js"]
CMD ["serve"]
