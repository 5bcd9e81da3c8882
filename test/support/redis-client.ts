import { createRequire } from 'node:module'

/**
 * The client of Redis that tests use: the joined file which scripts/run.mjs names, since the
 * package has 650 files, and nearly every test file loads them.
 */
const client: typeof import('redis') = createRequire(import.meta.url)(process.env.TEST_REDIS_CLIENT ?? 'redis')

export const { createClient, createCluster } = client
