import { holdSignals, holdSignalsOfWorker } from './signals.ts'

// The first thing that the process does: to load all else takes a fifth of a second.
if (process.argv[2] === 'serve') holdSignals()
if (process.argv[2] === 'worker') holdSignalsOfWorker()

void import('./command.ts')
