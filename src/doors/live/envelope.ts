import { kindAt, type Member, type Members, stringOf } from '../../platform/json-members.ts'
import { newCorrelationId, now } from './frames.ts'

/**
 * Makes an object that an agent published into a frame of the contract, by editing its text. What
 * the contract says about a member decides whether it stays, goes, or is added at the end; every
 * other byte stays as it is.
 */

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/
/** A timestamp with nine digits of a second. */
const MAX_TIMESTAMP = 30
const MAX_CORRELATION_ID = 128
/** Numbers as agent ids: of any length that a name may have. */
const MAX_AGENT_ID = 128

const COMMA = Buffer.from(',')
const CLOSE = Buffer.from('}')

/** Members that a frame has once: of several the last one counts, as for a JSON parser. */
const ONCE: ReadonlySet<string> = new Set([
  'type',
  'subscription',
  'timestamp',
  'correlation_id',
  'agent_id',
  'retained',
])

/**
 * The frame of `payload`, an object with the type of a topic's message. `members` are its members
 * with the names of the contract.
 */
export function envelopeFrame(topic: string, payload: Buffer, members: Members): Buffer {
  const last = new Map(members.found.map((member) => [member.name, member]))
  const kept = (member: Member) =>
    !ONCE.has(member.name) || (last.get(member.name) === member && stays(payload, member))
  const pieces: Buffer[] = []
  let from = members.open
  for (const member of members.found) {
    if (kept(member)) continue
    pieces.push(payload.subarray(from, member.start))
    from = member.next
  }
  pieces.push(payload.subarray(from, members.close))
  // What is cut goes with the comma behind it. Only when the last member of all stays, its text
  // ends without one.
  if (from !== members.close) pieces.push(COMMA)
  pieces.push(Buffer.from(additions(topic, payload, last)), CLOSE)
  return Buffer.concat(pieces)
}

/** Whether a member that the agent set is as the contract has it. */
function stays(payload: Buffer, member: Member): boolean {
  switch (member.name) {
    case 'type':
      return true
    case 'timestamp':
      return TIMESTAMP.test(stringOf(payload, member, MAX_TIMESTAMP) ?? '')
    case 'correlation_id':
      return (stringOf(payload, member, MAX_CORRELATION_ID) ?? '') !== ''
    case 'agent_id':
      return kindAt(payload, member.valueStart) === 'string'
    default:
      return false
  }
}

/** The members that the frame needs and the object lacks. */
function additions(topic: string, payload: Buffer, last: ReadonlyMap<string, Member>): string {
  const lacks = (name: string) => {
    const member = last.get(name)
    return member === undefined || !stays(payload, member)
  }
  const agent = numberIn(payload, last.get('agent_id'))
  return [
    // Some agents send a number; the contract has a string.
    ...(agent === undefined ? [] : [`"agent_id":"${agent}"`]),
    ...(last.has('data') ? [] : ['"data":null']),
    `"subscription":"${topic}"`,
    ...(lacks('timestamp') ? [`"timestamp":"${now()}"`] : []),
    ...(lacks('correlation_id') ? [`"correlation_id":"${newCorrelationId()}"`] : []),
  ].join(',')
}

/** The digits of a number, as the agent wrote them. */
function numberIn(payload: Buffer, member: Member | undefined): string | undefined {
  if (member === undefined || kindAt(payload, member.valueStart) !== 'number') return undefined
  const { valueStart, valueEnd } = member
  return valueEnd - valueStart > MAX_AGENT_ID ? undefined : payload.toString('latin1', valueStart, valueEnd)
}
