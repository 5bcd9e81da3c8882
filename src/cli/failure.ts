/** A failure that is told in one line, without a stack; exit status 1. */
export class CommandFailed extends Error {}

/** An argument that cannot be right, whatever the world is like; told in one line, exit status 2. */
export class Misused extends Error {}
