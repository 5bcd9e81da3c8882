import { WebSocket } from 'ws'

const [token, url = 'ws://127.0.0.1:8080/agent-1/ws/s1'] = process.argv.slice(2)
const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } })
socket.on('open', () => socket.send(JSON.stringify({ type: 'ask', text: 'hello' })))
socket.on('message', (data) => {
  const frame = JSON.parse(data)
  if (frame.type === 'token') console.log(frame.text)
})
socket.on('error', (error) => console.error(error.message))
