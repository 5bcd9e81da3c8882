import { lastOf, membersOf, namesOf } from '../../platform/json-members.ts'

const ENVELOPE = namesOf('envelope')
const DATA = namesOf('data')

/**
 * Takes `data` out of the envelope of a publish request. Returns its text as the client wrote it,
 * or undefined without one. Parsed and written anew, numbers of more than 53 bits, `1.0` and
 * repeated names would change. In `request` a null stands for it: any value is allowed there, but a
 * parser makes Infinity of `1e400`, which is no value of JSON.
 * @param text of `request`, which must be JSON: call `jsonFault` first.
 */
export function takeData(request: object, text: Buffer): string | undefined {
  const { envelope } = request as { envelope?: { data?: unknown } | null }
  if (typeof envelope !== 'object' || envelope === null || !Object.hasOwn(envelope, 'data')) return undefined
  envelope.data = null
  const own = valueIn(text, 'envelope', ENVELOPE)
  return own && valueIn(own, 'data', DATA)?.toString('utf8')
}

function valueIn(object: Buffer, name: string, names: typeof DATA): Buffer | undefined {
  const members = membersOf(object, names)
  const member = members && lastOf(members, name)
  return member && object.subarray(member.valueStart, member.valueEnd)
}
