import { PAGES, page } from './pages.ts'

/** The runbook and the pages of operations, by path from the root. */
export const OPERATIONS: readonly string[] = [
  'RUNBOOK.md',
  ...PAGES.filter((path) => path.startsWith('docs/operations/')),
]

/** A code block of a page. */
export interface Block {
  readonly path: string
  /** The nearest heading above it. */
  readonly under: string
  readonly text: string
}

/** The code blocks of one kind, for example `sh kubectl`, indented ones included. */
export function blocks(kind: string): Block[] {
  return OPERATIONS.flatMap((path) => {
    const text = page(path)
    return [...text.matchAll(new RegExp(`^( *)\`\`\`${kind}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))].map((match) => ({
      path,
      under: [...text.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)![1]!,
      text: match[2]!.replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
    }))
  })
}

/** The lines of all blocks of a kind. */
export const linesOf = (kind: string): string[] => blocks(kind).flatMap(({ text }) => text.trim().split('\n'))
