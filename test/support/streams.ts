interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

export type Read = (session: string, query?: string, init?: RequestInit) => Promise<Answer>

/** Sends requests for streams of a gateway, with a token. */
export function readerOf({ http }: { readonly http: string }, token: string): Read {
  return async (session, query = '', init = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...(init.headers as Record<string, string>) }
    const response = await fetch(`${http}/agent-1/stream/${session}?${query}`, { ...init, headers })
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
}

interface StreamEvent {
  readonly event: string
  readonly data: string
}

/** Opens a stream of events. `events` grows as they arrive; its last one is `end`. */
export async function eventsIn(
  { http }: { readonly http: string },
  session: string,
  query: string,
  token: string,
): Promise<{ response: Response; events: StreamEvent[] }> {
  const headers = { authorization: `Bearer ${token}` }
  const response = await fetch(`${http}/agent-1/stream/${session}?${query}`, { headers })
  const events: StreamEvent[] = []
  void (async () => {
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + chunk).split('\n\n')
      text = blocks.pop()!
      events.push(...blocks.flatMap((block) => eventOf(block) ?? []))
    }
    events.push({ event: 'end', data: '' })
  })().catch(() => events.push({ event: 'cut', data: '' }))
  return { response, events }
}

function eventOf(block: string): StreamEvent | undefined {
  const lines = block.split('\n')
  const event = lines.find((line) => line.startsWith('event: '))?.slice('event: '.length)
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice('data:'.length))
  return event === undefined ? undefined : { event, data: data.join('\n') }
}
