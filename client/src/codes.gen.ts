// Generated from the contract of the gateway by `npm run generate`. Do not edit.

/** Close codes after which another dial would end the same way. After 4401 a new token may help. */
export const finalCodes: readonly number[] = [1000, 1003, 1009, 4400, 4403, 4404, 4409]

/** The major version of the contract of live topics that this client knows. */
export const contractMajor = 2
