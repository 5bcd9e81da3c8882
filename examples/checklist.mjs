/** A deploy pipeline. Each stage writes into the hash of its run when it ends. */
const isAfter = (fields, stage, before) => Number(fields.get(`${stage}_at`)) > Number(fields.get(`${before}_at`))

export default {
  built: (fields) => fields.has('built_at'),
  tested: (fields) => isAfter(fields, 'tested', 'built'),
  approved: (fields) => fields.get('approved') === 'true',
  deployed: (fields) => fields.get('approved') === 'true' && isAfter(fields, 'deployed', 'tested'),
}
