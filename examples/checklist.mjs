export default {
  ordered: (fields) => fields.has('ordered_at'),
  paid: (fields) => fields.get('paid') === 'true',
  shipped: (fields) => Number(fields.get('shipped_at')) > Number(fields.get('ordered_at')),
}
