import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PathPattern } from '../../src/http/path.ts'

describe('a path pattern', () => {
  const session = new PathPattern('/:agentId/ws/:sessionId')
  const run = new PathPattern('/:runId')
  const live = new PathPattern('/live', '/api/dashboard/ws/:view')

  it('a pattern returns the parameters of a path in order, percent-decoded once', () => {
    assert.deepEqual(session.match('/agent-1/ws/a%3Ab'), ['agent-1', 'a:b'])
    assert.deepEqual(session.match('/a%2Fb/ws/%2525'), ['a/b', '%25'])
    assert.deepEqual(run.match('/%E0%A4%A'), ['%E0%A4%A'])
    assert.deepEqual(run.match('/run;1'), ['run;1'])
    assert.deepEqual(live.match('/api/dashboard/ws/tasks'), ['tasks'])
  })

  it('a pattern without parameters returns an empty list', () => {
    assert.deepEqual(live.match('/live'), [])
  })

  it('a pattern matches an empty parameter, so that the door can name what is wrong', () => {
    assert.deepEqual(session.match('/agent-1/ws/'), ['agent-1', ''])
    assert.deepEqual(session.match('//ws/'), ['', ''])
  })

  it('a pattern forgives one slash at the end', () => {
    assert.deepEqual(session.match('/agent-1/ws/a/'), ['agent-1', 'a'])
    assert.deepEqual(run.match('/run-1/'), ['run-1'])
    assert.deepEqual(live.match('/live/'), [])
    assert.deepEqual(live.match('/api/dashboard/ws/tasks/'), ['tasks'])
  })

  it('the route / matches the root path alone', () => {
    const root = new PathPattern('/', '/api/dashboard/ws/:view')
    assert.deepEqual(root.routes.slice(0, 2), ['/', '/api/dashboard/ws/:view'])
    assert.deepEqual(root.match('/'), [])
    assert.equal(root.match('//'), undefined)
    assert.equal(root.match('/live'), undefined)
  })

  it('a pattern with a parameter never matches the root path', () => {
    for (const url of ['/', '//']) assert.equal(run.match(url), undefined)
  })

  it('a pattern matches no path with more, fewer or other segments', () => {
    for (const url of ['/agent-1/ws/a/b', '/agent-1/ws', '/agent-1/xs/a', 'agent-1/ws/a', '/agent-1/ws/a//'])
      assert.equal(session.match(url), undefined, url)
    for (const url of ['/live//', '/lives', '/api/dashboard/ws', '/api/dashboardxws/tasks'])
      assert.equal(live.match(url), undefined, url)
  })

  it('a pattern takes the other characters of a route literally', () => {
    assert.deepEqual(new PathPattern('/a.b/:id').match('/a.b/1'), ['1'])
    assert.equal(new PathPattern('/a.b/:id').match('/axb/1'), undefined)
  })
})
