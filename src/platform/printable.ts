/**
 * Returns text as one line that cannot steer the terminal: without control characters (C0 except
 * the tab, DEL, C1), and with a space for each line break. JSON that an encoder wrote stays the
 * same JSON: it holds line breaks only between its parts, and other C0 characters never.
 */
export function printable(text: string): string {
  return text.replace(/\r\n|[\r\n]/g, ' ').replace(CONTROL, '')
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** The time of day with milliseconds, in the zone of this machine. */
export const timeOfDay = (at: Date): string =>
  `${[at.getHours(), at.getMinutes(), at.getSeconds()].map((each) => String(each).padStart(2, '0')).join(':')}.${String(
    at.getMilliseconds(),
  ).padStart(3, '0')}`
