import assert from 'node:assert/strict'
import { ConfigError, loadConfig } from '../../src/config/load.ts'

/** The problems of an environment; none when it is valid. */
export function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.message, error.problems.join('\n'))
    return error.problems
  }
}

/** Asserts that the environment has exactly one problem, whose line contains each of `says`. */
export function assertProblem(env: Record<string, string>, ...says: (string | RegExp)[]): void {
  const problems = problemsOf(env)
  assert.equal(problems.length, 1, `${JSON.stringify(env)}: ${JSON.stringify(problems)}`)
  for (const each of says) {
    assert.ok(typeof each === 'string' ? problems[0]!.includes(each) : each.test(problems[0]!), problems[0])
  }
}
