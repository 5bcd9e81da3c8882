import { isUtf8 } from 'node:buffer'
import { elementsOf } from '../../platform/json-members.ts'
import { jsonFault } from '../../platform/json-scan.ts'

/** What a session is that was not made by `PUT`: the log of an agent. */
const JSON_TYPE = 'application/json'
/** A type without parameters, or with some. */
const TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}(\s*;[\x20-\x7e]{0,100})?$/

/** The content type as it is kept and compared; undefined when it is not valid. */
export function normalType(type: string): string | undefined {
  return TYPE.test(type) ? type.toLowerCase() : undefined
}

const mediaType = (type: string): string => type.split(';', 1)[0]!.trim()

export const isJson = (type: string): boolean => mediaType(type) === JSON_TYPE

/** Whether server-sent events carry the bytes as text. */
export const isText = (type: string): boolean => isJson(type) || mediaType(type).startsWith('text/')

export const typeOf = (type: string | undefined): string => type ?? JSON_TYPE

/** Why a body was refused. */
export type BodyFault = 'not-json' | 'too-deep'

/**
 * Splits a body into messages. The elements of a JSON array are messages of their own, one level
 * deep; every other body is one. A body without bytes has none.
 */
export function messagesIn(body: Buffer, type: string, maxDepth: number): Buffer[] | BodyFault {
  if (body.length === 0) return []
  if (!isJson(type)) return [body]
  return jsonFault(body, maxDepth) ?? elementsOf(body) ?? [body]
}

const OPEN = Buffer.from('[')
const COMMA = Buffer.from(',')
const CLOSE = Buffer.from(']')

/** Makes the body of an answer: an array of JSON, or all bytes one after the other. */
export function bodyOf(payloads: readonly Buffer[], type: string, maxDepth: number): Buffer {
  if (!isJson(type)) return Buffer.concat(payloads)
  const parts: Buffer[] = [OPEN]
  for (const [i, payload] of payloads.entries()) {
    if (i > 0) parts.push(COMMA)
    // Agents may publish any bytes. What is no JSON becomes a JSON text.
    parts.push(jsonFault(payload, maxDepth) ? Buffer.from(JSON.stringify(payload.toString('utf8'))) : utf8(payload))
  }
  return Buffer.concat([...parts, CLOSE])
}

/** Bytes that are not UTF-8 become U+FFFD, as a JSON parser reads them. */
const utf8 = (payload: Buffer): Buffer => (isUtf8(payload) ? payload : Buffer.from(payload.toString('utf8')))

const LINES = /\r\n|\r|\n/

/**
 * One server-sent event, without a space behind `data:` as the conformance suite of the protocol
 * wants it. A line of the data that begins with a space keeps it.
 */
export function eventOf(name: string, data: string): string {
  const lines = data.split(LINES).map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`)
  return `event: ${name}\n${lines.join('')}\n`
}
