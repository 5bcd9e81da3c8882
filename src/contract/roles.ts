/** The roles of users, the smallest first. Each may do what the ones before it may. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof ROLES)[number]

/** The role names of HiveOps and our role for each. */
const OTHER_NAMES: Readonly<Record<string, Role>> = {
  super_admin: 'admin',
  enterprise_admin: 'admin',
  pilot_manager: 'operator',
  success_manager: 'operator',
  developer: 'operator',
}

/** Returns the role that a name stands for. Undefined: no role has that name. */
export const roleNamed = (name: string): Role | undefined =>
  ROLES.find((role) => role === name) ?? (Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined)

/** Whether a role may do what needs another one. */
export const isAtLeast = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed)

/**
 * The topics of a role, as the claim `topics` names them: all but those to which LIVE_TOPIC_ROLES
 * gives a larger role, which have a `!` before them.
 */
export const topicsOf = (role: Role, rules: readonly string[]): readonly string[] => [
  '*',
  ...rules.flatMap((rule) => {
    const [topic = '', name = ''] = rule.split(':')
    return isAtLeast(role, roleNamed(name) ?? 'admin') ? [] : [`!${topic}`]
  }),
]
