/** The callers that wait for the confirmation of one channel share this. */
export interface Confirmation {
  readonly confirmed: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export function newConfirmation(): Confirmation {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const confirmed = new Promise<void>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { confirmed, resolve, reject }
}
