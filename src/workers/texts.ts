export const AFTER_START_TEXT = 'the workers are replaced once all of them listen: the start is under way'

export const AFTER_ROLL_TEXT = 'the workers are replaced once more after the replacement that is under way'

export const CRASH_LOOP_TEXT =
  'a worker ends again and again: the others serve its share of new clients. Its own lines say why; ' +
  'RUNBOOK.md has "A worker ends again and again"'

export const NOT_STARTED_TEXT = 'a worker was killed before it listened: the instance ends'
