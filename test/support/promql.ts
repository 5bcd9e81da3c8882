/** The metrics and labels of a PromQL expression. */
export interface Query {
  readonly metrics: Selector[]
  /** The labels that the expression groups or joins by. */
  readonly groupedBy: string[]
}

export interface Selector {
  readonly metric: string
  readonly matchers: { label: string; operator: string; value: string }[]
}

const WORDS = new Set(
  'sum avg min max count topk bottomk quantile stddev group by without on ignoring group_left group_right and or unless bool offset inf nan'.split(
    ' ',
  ),
)
const TOKEN =
  /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\d+(?:\.\d+)?(?:e[+-]?\d+)?|[a-zA-Z_:][\w:]*|[=!<>]=|=~|!~|[-+*/%^(){},=<>]|\s+/gy

/**
 * Reads as much of PromQL's grammar as metrics and labels need. @throws on a token that PromQL does
 * not have, and on brackets that do not match.
 */
export function parseQuery(expression: string): Query {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  for (let at = 0; at < expression.length; at = TOKEN.lastIndex) {
    const [token] = TOKEN.exec(expression) ?? []
    if (token === undefined) throw new Error(`not PromQL at ${at}: ${expression}`)
    if (token.trim() !== '') tokens.push(token)
  }
  const query: Query = { metrics: [], groupedBy: [] }
  let depth = 0
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    if (token === '(') depth++
    if (token === ')' && --depth < 0) break
    if (/^(by|without|on|ignoring)$/.test(token)) {
      const end = tokens.indexOf(')', i)
      query.groupedBy.push(...tokens.slice(i + 2, end).filter((each) => each !== ','))
      i = end
      continue
    }
    if (!/^[a-zA-Z_:]/.test(token) || WORDS.has(token.toLowerCase()) || tokens[i + 1] === '(') continue
    const end = tokens[i + 1] === '{' ? tokens.indexOf('}', i) : i
    query.metrics.push({ metric: token, matchers: matchersOf(tokens.slice(i + 2, end)) })
    i = end
  }
  if (depth !== 0) throw new Error(`brackets that do not match: ${expression}`)
  return query
}

function matchersOf(tokens: readonly string[]): Selector['matchers'] {
  return tokens
    .join(' ')
    .split(/ , ?/)
    .filter(Boolean)
    .map((each) => {
      const [label, operator, ...value] = each.split(' ')
      return { label: label!, operator: operator!, value: JSON.parse(value.join(' ')) as string }
    })
}
