/** A failure at run time. main prints its message without a stack and exits with status 1. */
export class CommandFailed extends Error {}

/** An invalid argument. main prints its message without a stack and exits with status 2. */
export class Misused extends Error {}
