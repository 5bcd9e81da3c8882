/** Values that stand in our examples, or that people type instead of a token. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'change-me-to-32-random-characters',
  'at-least-16-characters',
  'correct-horse-battery',
  'correct-horse-battery-staple',
  'replace-this-with-a-secret',
  'changeme-changeme',
  'your-secret-token-here',
  // The first password of HiveOps.
  'adminpassword123!',
  // The secrets of jwt.io and of a Supabase that was not set up.
  'a-string-secret-at-least-256-bits-long',
  'your-super-secret-jwt-token-with-at-least-32-characters-long',
])
const MIN_CHARACTERS = 16
const MIN_DIFFERENT = 6

/**
 * Returns what makes a token too easy to guess for production, without the token itself; undefined
 * when nothing does.
 */
export function weakness(token: string): string | undefined {
  if (token.length < MIN_CHARACTERS) return `must have at least ${MIN_CHARACTERS} characters (it has ${token.length})`
  const different = new Set(token).size
  if (different < MIN_DIFFERENT) return `must have at least ${MIN_DIFFERENT} different characters (it has ${different})`
  if (PLACEHOLDERS.has(token.toLowerCase())) return 'must not be the value of an example'
  return undefined
}

/** The secrets of a setting that takes several, separated by white space. */
export const secretList = (list = ''): string[] => list.split(/\s+/).filter((each) => each !== '')

/** A line for each token that is too easy to guess. The tokens are not repeated. */
export const weakTokens = (tokens: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(tokens).flatMap(([name, value]) => {
    const problem = secretList(value)
      .map(weakness)
      .find((each) => each !== undefined)
    return problem === undefined ? [] : [`${name}: ${problem} when NODE_ENV=production; use openssl rand -hex 32`]
  })

/** The first of these secrets that is too short for HS256. */
export const shortSecret = (secrets: string | undefined): string | undefined =>
  secretList(secrets).find((each) => Buffer.byteLength(each) < 32)

/** Whether one of these secrets has fewer than 32 characters. */
export const isShortList = (secrets: string | undefined): boolean =>
  secretList(secrets).some((each) => each.length < 32)
