/** The only reader of `process.env` in `src`, so that every setting has an entry in the table. */

/** The token of `wsproxy connect`. It has the prefix of the settings but is not a setting of the gateway. */
export const CLIENT_TOKEN = 'WSPROXY_TOKEN'

/** The environment of this process; not a copy. */
export const environment = (): NodeJS.ProcessEnv => process.env

/** Returns the token for `wsproxy connect` when none is on the command line, where process lists show it. */
export const clientToken = (): string | undefined => process.env[CLIENT_TOKEN] || undefined
