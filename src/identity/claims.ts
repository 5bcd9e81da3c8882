import { isAtLeast, type Role, roleNamed, topicsOf } from '../contract/roles.ts'

/** What the claims of a token allow its bearer. */
export interface Identity {
  /** `sub`. */
  readonly subject: string | undefined
  /** `jti`, and the `sid` of the login that it goes back to. */
  readonly tokenId: string | undefined
  readonly sid: string | undefined
  /** `session_id`: the sessions that the token opens. */
  readonly sessions: readonly string[]
  /** `agent_id`. Undefined: the paths of all agents. */
  readonly agent: string | undefined
  /** `run_id`: the runs that the token opens. */
  readonly runs: readonly string[]
  /** Undefined: the tokens of this kind have no roles. */
  readonly role: Role | undefined
  /** `topics` of the live door that it opens: names, or prefixes followed by `*`. */
  readonly topics: readonly string[]
  /** `publish_topics`, on which the bearer may publish envelopes; as `topics`. */
  readonly publishTopics: readonly string[]
  /** Whether frames of the client are published. `up: false` makes a token read only. */
  readonly publishes: boolean
  /** Whether the bearer writes streams over HTTP: `publish` is true, and `up` is not false. */
  readonly appends: boolean
  /** `iat`, in seconds since the epoch. */
  readonly issuedAt: number | undefined
  /** The fingerprint of the key that has signed it. */
  readonly signedBy: string
  /** `exp` and `nbf`, in seconds since the epoch. Undefined: no such limit. */
  readonly expiresAt: number | undefined
  readonly notBefore: number | undefined
}

/** What is asked of the claims of every token. */
export interface ClaimRules {
  /** One of these must be in `aud`. Empty: `aud` is not read. */
  readonly audiences: readonly string[]
  /** `iss` must be one of these. Empty: `iss` is not read. */
  readonly issuers: readonly string[]
  /** How far the clock of the signer may differ from ours. */
  readonly skewMs: number
  /** The claim that has the role. Default: none. */
  readonly roleClaim?: string | undefined
  /** Which topics need a role, as LIVE_TOPIC_ROLES has it. Default: no topic does. */
  readonly topicRoles?: readonly string[]
}

/** The claims that are read. A token that repeats one of them is refused. */
export const CLAIMS = [
  ...['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'jti', 'sid'],
  ...['session_id', 'agent_id', 'run_id', 'topics', 'publish_topics', 'up', 'publish'],
]

const NUMBERS = ['exp', 'nbf', 'iat']
const TEXTS = ['sub', 'iss', 'jti', 'sid', 'agent_id']

/** Whether a claim is there, and is not of this type. A number of JSON may be infinite: `1e999`. */
const isOther = (claim: unknown, type: 'number' | 'string'): boolean =>
  claim !== undefined && (typeof claim !== type || (type === 'number' && !Number.isFinite(claim)))

/** Returns what the claims allow, or why they are not valid, in words for the log. */
export function identityOf(
  claims: Readonly<Record<string, unknown>>,
  rules: ClaimRules,
  signedBy: string,
): Identity | string {
  const { sub, exp, nbf, iat, iss, aud, jti, sid, agent_id: agent, up = true } = claims
  for (const name of NUMBERS) if (isOther(claims[name], 'number')) return `its ${name} is not a number`
  for (const name of TEXTS) if (isOther(claims[name], 'string')) return `its ${name} is not a text`
  if (typeof up !== 'boolean') return 'its up is neither true nor false'
  const sessions = textsOf(claims.session_id)
  const runs = textsOf(claims.run_id)
  const role = roleOf(claims, rules)
  if (role === null) return `its ${rules.roleClaim} is not a list of texts`
  const topics = claims.topics === undefined && role ? topicsOf(role, rules.topicRoles ?? []) : textsOf(claims.topics)
  const publishTopics = publishTopicsOf(claims.publish_topics, role)
  const audiences = textsOf(aud)
  if (!sessions || !runs || !topics || !publishTopics || !audiences)
    return 'its session_id, run_id, topics, publish_topics or aud is not a list of texts'
  if (rules.audiences.length > 0 && !rules.audiences.some((each) => audiences.includes(each)))
    return 'its aud is not in AUTH_JWT_AUDIENCE'
  if (rules.issuers.length > 0 && !rules.issuers.includes(iss as string)) return 'its iss is not in AUTH_JWT_ISSUER'
  return {
    subject: sub as string | undefined,
    tokenId: jti as string | undefined,
    sid: sid as string | undefined,
    sessions,
    agent: agent as string | undefined,
    runs,
    role,
    topics,
    publishTopics: up ? publishTopics : [],
    publishes: up,
    appends: up && claims.publish === true,
    signedBy,
    issuedAt: iat as number | undefined,
    expiresAt: exp as number | undefined,
    notBefore: nbf as number | undefined,
  }
}

/**
 * The largest role that the claim names; the smallest where it names none of ours. Undefined: roles
 * of JWTs do not count. Null: the claim is neither a text nor a list of texts.
 */
function roleOf(claims: Readonly<Record<string, unknown>>, { roleClaim }: ClaimRules): Role | undefined | null {
  if (roleClaim === undefined) return undefined
  const names = textsOf(Object.hasOwn(claims, roleClaim) ? claims[roleClaim] : undefined)
  if (names === undefined) return null
  const roles = names.flatMap((name) => roleNamed(name) ?? [])
  return roles.reduce<Role>((largest, each) => (isAtLeast(each, largest) ? each : largest), 'viewer')
}

const publishTopicsOf = (claim: unknown, role: Role | undefined): readonly string[] | undefined =>
  claim === undefined && role !== undefined && isAtLeast(role, 'operator') ? ['*'] : textsOf(claim)

/** A text or a list of texts as a list. Undefined: the value is neither. */
function textsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined
}

export const hasExpired = ({ expiresAt }: Identity, { skewMs }: ClaimRules, nowMs: number): boolean =>
  expiresAt !== undefined && nowMs >= expiresAt * 1000 + skewMs

export const isTooEarly = ({ notBefore }: Identity, { skewMs }: ClaimRules, nowMs: number): boolean =>
  notBefore !== undefined && nowMs < notBefore * 1000 - skewMs
