/** The refusals of streams over HTTP: rows of the table in codes.ts. */
export const STREAM_REFUSALS = {
  'stream-conflict': { status: '409 Conflict', message: 'The stream has another type, life or state.' },
  'producer-gap': { status: '409 Conflict', message: 'Messages of this producer are missing before this one.' },
  'producer-stale': { status: '403 Forbidden', message: 'The producer has a newer epoch.' },
  'offset-gone': { status: '410 Gone', message: 'What follows this offset is not kept. Read from offset=-1.' },
  'forks-unsupported': { status: '501 Not Implemented', message: 'This gateway makes no forks of streams.' },
} as const
