/** Returns JSON with the members of every object sorted; undefined where JSON.stringify does. */
export const canonicalJson = (value: unknown): string | undefined => JSON.stringify(value, sortMembers)

const sortMembers = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value
