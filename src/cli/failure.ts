/** A failure that is told in one line, without a stack; exit status 1. */
export class CommandFailed extends Error {}
