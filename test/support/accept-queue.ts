import { Worker } from 'node:worker_threads'
import { within } from './wait.ts'

const CONNECT_MS = 10_000

/** Runs in the thread: connects, sends, wakes the other thread, and posts all answers. */
const CLIENTS = `
const { connect } = require('node:net')
const { parentPort, workerData: { host, port, requests, waiting } } = require('node:worker_threads')
const answers = requests.map((request) => new Promise((resolve) => {
  let text = ''
  const socket = connect(port, host, () => socket.write(request, () => {
    Atomics.sub(waiting, 0, 1)
    Atomics.notify(waiting, 0)
  }))
  socket.on('data', (chunk) => { text += chunk.toString('latin1') })
  socket.on('error', (error) => { text += error.message })
  socket.on('close', () => resolve(text))
}))
Promise.all(answers).then((all) => parentPort.postMessage(all))
`

/**
 * Sends each request over a connection of its own while this thread is blocked, so that a gateway
 * in this process cannot accept them: on return, all wait in the accept queue of the kernel.
 * `answers` resolves with what each connection received until its end.
 */
export function fillAcceptQueue(url: string, requests: readonly string[]): { readonly answers: Promise<string[]> } {
  const { hostname: host, port } = new URL(url)
  const waiting = new Int32Array(new SharedArrayBuffer(4))
  waiting[0] = requests.length
  const worker = new Worker(CLIENTS, { eval: true, workerData: { host, port: Number(port), requests, waiting } })
  const answers = new Promise<string[]>((resolve, reject) => worker.once('message', resolve).once('error', reject))
  const deadline = performance.now() + CONNECT_MS
  for (let left = requests.length; left > 0; left = Atomics.load(waiting, 0)) {
    if (performance.now() > deadline) throw new Error(`${left} connections are not in the accept queue`)
    Atomics.wait(waiting, 0, left, 100)
  }
  return { answers: within(answers, 'the end of all connections') }
}
