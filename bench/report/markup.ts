/** Text that is safe inside HTML and SVG. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Escapes the special characters of text and attributes. */
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (each) => ENTITIES[each]!)
