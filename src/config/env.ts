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

/** How the user calls this executable: through npm in a clone, by npx, or by its name. */
export function ownCommand(): string {
  const { npm_lifecycle_event: script } = process.env
  if (script === undefined) return 'wsproxy'
  return script === 'npx' ? 'npx wsproxy-gateway' : 'npm run -s wsproxy --'
}

/** How the user starts the gateway. */
export const startCommand = (): string => (ownCommand().startsWith('npm ') ? 'npm start' : `${ownCommand()} serve`)
