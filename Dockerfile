# cartstream with Node alone; without DATABASE_URL it keeps its store in the volume /data.
#   docker build -t cartstream .
#   docker run -p 4000:4000 -e JWT_SECRET="$(openssl rand -base64 32)" cartstream
# Written on a machine without Docker: not run there.

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:20-slim
# Reachable from outside, so tokens are wanted: JWT_SECRET must be given at run time.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000 DATA_DIR=/data AUTH_MODE=jwt
WORKDIR /app
COPY --from=build /app/package.json /app/schema.graphql ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/bin ./bin
COPY --from=build /app/prisma ./prisma
COPY --from=build /app/seed ./seed
COPY --from=build /app/dist ./dist
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/main.js", "serve"]
