import { type Refusal, refusals } from '../contract/codes.ts'
import { BadRequest, parseJson } from '../http/body.ts'
import { refused, withRedis } from '../http/refuse.ts'
import { type ApiResponse, json } from '../http/response.ts'
import type { ApiRequest, Route } from '../http/routes.ts'
import type { Access } from '../identity/access.ts'
import { reasonOf } from '../platform/reason.ts'
import { bearerToken } from '../platform/secrets.ts'
import type { User } from '../redis/users.ts'
import { accessIn, cookiesOf, deviceCookie, deviceIn, refreshIn } from './cookies.ts'
import type { Logins } from './logins.ts'

const MAX_BODY_BYTES = 8192
/** Longest text of a member of a body. */
const MAX_TEXT_BYTES = 1024
/** Time for a login behind 50 others, on a busy machine. */
const DEADLINE_MS = 20_000
/** Where the calls are, ours first. */
const BASES = ['/api/auth', '/api/v1/auth']

/** The HTTP calls of logins. */
export function loginRoutes(logins: Logins): Route[] {
  const call = (method: Route['method'], path: string, answer: Route['answer'], json?: true): Route => ({
    method,
    path,
    ...(json && { json }),
    maxBodyBytes: MAX_BODY_BYTES,
    answer: (request) => withDetail(() => withRedis(async () => answer(request), DEADLINE_MS)),
  })
  const authenticated =
    (work: (access: Access, request: ApiRequest) => ApiResponse | Promise<ApiResponse>): Route['answer'] =>
    async (request) => {
      const { headers } = request
      const token = headers.authorization === '' ? accessIn(headers) : bearerToken(headers.authorization)
      const access = await logins.authenticate(token)
      return access === undefined ? refused(refusals['login-required']) : work(access, request)
    }
  const early: Route['early'] = ({ client }) => {
    const refusal = logins.refusalAtOnce(client)
    return refusal && detailed(refused(refusal))
  }
  const me = authenticated(async (access) => {
    const user = await logins.userOf(access)
    return user === undefined ? refused(refusals['login-required']) : json('200 OK', shown(user))
  })
  const logout = (base: string) =>
    authenticated(async (access, { headers }) => {
      await logins.logout(access)
      const answer = json('200 OK', { success: true })
      return accessIn(headers) === undefined
        ? answer
        : { ...answer, cookies: cookiesOf(undefined, logins.livesS, base, headers) }
    })
  const ping = authenticated(({ subject, role }) => json('200 OK', { success: true, user_id: subject, role }))
  const admin = authenticated(({ subject, role }) =>
    role === 'admin' ? json('200 OK', { success: true, user_id: subject, role }) : refused(refusals['role-required']),
  )
  return [
    ...BASES.flatMap((base) => [
      { ...call('POST', `${base}/login`, (request) => login(logins, request, base), true), early },
      call('POST', `${base}/refresh`, (request) => refresh(logins, request, base), true),
      call('POST', `${base}/logout`, logout(base)),
      call('GET', `${base}/me`, me),
    ]),
    call('GET', '/api/v1/protected/ping', ping),
    call('GET', '/api/v1/protected/admin', admin),
  ]
}

/** With `?cookie=1` scripts see no token: the browser keeps them as cookies. */
async function login(logins: Logins, request: ApiRequest, base: string): Promise<ApiResponse> {
  const { email, password } = textsIn(request, ['email', 'password'])
  const tokens = await logins.login(email!, password!, request.client, deviceIn(request.headers))
  if (isRefusal(tokens)) return refused(tokens)
  const isCookie = request.query.get('cookie') === '1'
  const answer = json('200 OK', {
    ...(!isCookie && { access_token: tokens.access, refresh_token: tokens.refresh, token_type: 'bearer' }),
    expires_in: logins.livesS.accessS,
    user: shown(tokens.user),
  })
  const { headers } = request
  const cookies = [
    ...(isCookie ? cookiesOf(tokens, logins.livesS, base, headers) : []),
    ...(tokens.device === undefined ? [] : [deviceCookie(tokens.device, base, headers)]),
  ]
  return { ...answer, cookies }
}

async function refresh(logins: Logins, request: ApiRequest, base: string): Promise<ApiResponse> {
  const kept = request.body.length <= 2 ? refreshIn(request.headers) : undefined
  const token = kept ?? textsIn(request, ['refresh_token']).refresh_token!
  const tokens = await logins.refresh(token, request.client)
  if (isRefusal(tokens)) return refused(tokens)
  const answer = json('200 OK', {
    success: true,
    ...(kept === undefined && { access_token: tokens.access, refresh_token: tokens.refresh, token_type: 'bearer' }),
    expires_in: logins.livesS.accessS,
  })
  return kept === undefined ? answer : { ...answer, cookies: cookiesOf(tokens, logins.livesS, base, request.headers) }
}

const isRefusal = (given: object): given is Refusal => 'kind' in given

/** The user as the dashboard of HiveOps reads it. */
const shown = ({ id, email, fullName, role, isActive, lastLogin }: User): object => ({
  id,
  email,
  full_name: fullName,
  role,
  permissions: [],
  company_name: null,
  pilot_ids: [],
  is_active: isActive,
  last_login: lastLogin ?? null,
})

/** @throws BadRequest unless the body is an object in which each of the names is a text. */
function textsIn(request: ApiRequest, names: readonly string[]): Readonly<Record<string, string>> {
  const body = (parseJson(request) ?? {}) as Readonly<Record<string, unknown>>
  const texts = names.map((name) => {
    const value = Object.hasOwn(body, name) ? body[name] : undefined
    if (typeof value !== 'string' || value === '') throw new BadRequest(`${name}: must be a text`, name)
    if (Buffer.byteLength(value) > MAX_TEXT_BYTES)
      throw new BadRequest(`${name}: must have at most ${MAX_TEXT_BYTES} bytes`, name)
    return [name, value] as const
  })
  return Object.fromEntries(texts)
}

/** Adds `detail` to a refusal: the dashboard of HiveOps shows that text. */
async function withDetail(work: () => Promise<ApiResponse>): Promise<ApiResponse> {
  let response: ApiResponse
  try {
    response = await work()
  } catch (error) {
    if (!(error instanceof BadRequest)) throw error
    const { field } = error
    response = refused({ ...refusals['bad-request'], message: reasonOf(error), field })
  }
  return response.status.startsWith('2') ? response : detailed(response)
}

function detailed(response: ApiResponse): ApiResponse {
  const body = JSON.parse(String(response.body)) as { error: { message: string } }
  const { message: detail } = body.error
  return { ...response, body: JSON.stringify({ ...body, detail }) }
}
