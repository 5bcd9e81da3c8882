/** The only reader of `process.env` in `src`, so that every setting has an entry in the table. */

/**
 * The token of `wsproxy connect`: it has the prefix of the settings, but the gateway ignores it.
 */
export const CLIENT_TOKEN = 'WSPROXY_TOKEN'

/** The environment of this process; not a copy. */
export const environment = (): NodeJS.ProcessEnv => process.env

/**
 * Returns the token that `wsproxy connect` uses when the command line has none. Process lists show
 * the command line, but not this variable.
 */
export const clientToken = (): string | undefined => process.env[CLIENT_TOKEN] || undefined
