import { type ContractSchema, type Direction, framesOf } from './schema.ts'

const CHANNEL = '#/channels/live'

/** The frames that answer each client frame. */
const REPLIES: Readonly<Record<string, readonly string[]>> = {
  Ping: ['Pong'],
  PublishRequest: ['Published', 'ErrorFrame'],
  SubscribeList: ['SubscriptionUpdated', 'ErrorFrame'],
  SubscribeTopic: ['Subscribed', 'ErrorFrame'],
  UnsubscribeList: ['SubscriptionUpdated', 'ErrorFrame'],
  UnsubscribeTopic: ['Unsubscribed', 'ErrorFrame'],
  DataRequest: ['DataResponse', 'DataFailure'],
}

/**
 * The contract as an AsyncAPI 3 document, from the point of view of the server: it receives what
 * clients send.
 */
export function asyncApi(schema: ContractSchema): object {
  const client = framesOf(schema, 'client')
  const server = framesOf(schema, 'server')
  const { ClientFrame: _, ServerFrame: __, ...definitions } = schema.$defs
  const messages = Object.fromEntries([...client, ...server].map((name) => [name, messageOf(name, schema)]))
  return {
    asyncapi: '3.0.0',
    info: { title: 'wsproxy live door', version: schema.version, description: schema.description },
    defaultContentType: 'application/json',
    channels: { live: channel([...client, ...server]) },
    operations: Object.fromEntries([
      ...client.map((name) => [`receive${name}`, operation('client', name, REPLIES[name])]),
      ...server.map((name) => [`send${name}`, operation('server', name)]),
    ]),
    components: { messages, schemas: moved(definitions) },
  }
}

function channel(names: readonly string[]): object {
  return {
    address: '/live',
    title: 'The live door',
    messages: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
    bindings: {
      ws: {
        method: 'GET',
        query: {
          type: 'object',
          properties: {
            subscriptions: { type: 'string', description: 'Topics to start with, separated by commas.' },
            initialized: { type: 'string', enum: ['1'], description: 'Ask for dashboard_initialized.' },
          },
        },
      },
    },
  }
}

function messageOf(name: string, { $defs }: ContractSchema): object {
  const { description, properties } = $defs[name] as { description?: string; properties: { type: { const?: string } } }
  return {
    name: properties.type.const ?? name,
    title: name,
    summary: description,
    payload: { $ref: `#/components/schemas/${name}` },
  }
}

function operation(direction: Direction, name: string, replies: readonly string[] = []): object {
  const message = (each: string) => ({ $ref: `${CHANNEL}/messages/${each}` })
  return {
    action: direction === 'client' ? 'receive' : 'send',
    channel: { $ref: CHANNEL },
    messages: [message(name)],
    ...(replies.length > 0 && { reply: { channel: { $ref: CHANNEL }, messages: replies.map(message) } }),
  }
}

/** The definitions, with references to where AsyncAPI puts them. */
function moved(definitions: object): object {
  return JSON.parse(JSON.stringify(definitions).replaceAll('"#/$defs/', '"#/components/schemas/'))
}
