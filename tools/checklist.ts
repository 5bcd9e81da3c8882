/** Makes the page of the keys of the built-in checklist from its rules. */
import { M1_UPSTREAM, M3_UPSTREAM, SHARED_UPSTREAM, weppChecklist } from '../src/doors/run/checklist.ts'

const named = (names: readonly string[]): string => names.map((name) => `\`timestamps:${name}\``).join(', ')

const policies = [...M1_UPSTREAM].map(([policy, upstream]) => {
  const what = policy === '' ? 'is absent or empty' : `is \`${policy}\``
  return `| \`M1\` (or absent, or empty), and \`postfire_debris_flow:soil_policy\` ${what} | ${named(upstream) || 'none'} |`
})

/** The text of docs/reference/checklist.md. */
export const checklistPage = (): string => `# The built-in checklist

The keys of the checklist of a WEPP run, and the fields of its hash that make each of them true. This
page is made from the rules (\`npm run generate\`). Another pipeline brings
[its own checklist](../guide/runs.md#your-own-checklist).

A **stamp** is a whole number in a field: ASCII digits with at most one sign, within 64 bits. Any other
text is no stamp, and nothing is later than it or earlier. *Later* is strict. The **WEPP stamp** is
\`timestamps:run_wepp_watershed\` when that is not empty, else \`timestamps:run_wepp\`.

| key | true when |
|---|---|
${Object.entries(weppChecklist)
  .map(([key, { means }]) => `| \`${key}\` | ${means} |`)
  .join('\n')}

## postfire_debris_flow

True when \`timestamps:run_postfire_debris_flow\` is a stamp above 0, the model
\`postfire_debris_flow:model\` is known, and each of these fields that exists is a stamp above 0 and
earlier: ${named(SHARED_UPSTREAM)}, and those of the model:

| \`postfire_debris_flow:model\` | further fields |
|---|---|
${policies.join('\n')}
| \`M3\`, whatever the soil policy | ${named(M3_UPSTREAM)} |

Another model, or another soil policy with \`M1\`, makes the key false.

## The other members

\`lock_statuses\` has an entry for each field \`locked:<name>\`, true only for the text \`true\`.
\`last_modified\` is the field \`last_modified\` when it is a stamp, else the greatest stamp among the
fields \`timestamps:...\`; without one it is left out.
`
