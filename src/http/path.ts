/**
 * The path of a door, as one or several routes in the notation of uWebSockets.js:
 * `/:agentId/ws/:sessionId`.
 */
export class PathPattern {
  readonly routes: readonly string[]
  readonly #expressions: readonly RegExp[]

  constructor(...routes: readonly string[]) {
    this.routes = routes.flatMap((route) => (route === '/' ? [route] : [route, `${route}/`]))
    this.#expressions = routes.map(expressionOf)
  }

  /**
   * Returns the parameters of `url` in order, percent-decoded once, or undefined when it is another
   * path. One slash at the end is ignored. A parameter may be empty, which uWebSockets.js does not
   * route, so that its door can refuse it by name. `/` matches the route `/` only, and `//` none.
   */
  match(url: string): string[] | undefined {
    for (const expression of this.#expressions) {
      const found = expression.exec(url)
      if (found) return found.slice(1).map(decoded).map(copyOf)
    }
    return undefined
  }
}

const expressionOf = (route: string): RegExp =>
  route === '/'
    ? /^\/$/
    : new RegExp(`^(?!//?$)${route.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '([^/]*)')}/?$`)

/** Returns `part` as it stands when it is not valid percent-encoding: no id holds a `%`. */
function decoded(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/**
 * V8 makes a part of a string a view that keeps all of it, and a socket keeps its ids for as long
 * as it lives.
 */
const copyOf = (part: string): string => part && Buffer.from(part).toString()
