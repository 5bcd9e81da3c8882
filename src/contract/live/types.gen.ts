// Generated from live.schema.json by `npm run generate`. Do not edit.

/**
 * The live door: every frame, in both directions. Text frames, one JSON object each.
 */
export type LiveContract = ClientFrame | ServerFrame
/**
 * What a client may send. Any other type is answered with an error, and the socket stays.
 */
export type ClientFrame =
  Ping | SubscribeList | SubscribeTopic | UnsubscribeList | UnsubscribeTopic | DataRequest | Auth | PublishRequest
/**
 * One of a request is echoed in its replies; a broadcast has one for all who get it.
 */
export type CorrelationId = string
/**
 * The client's own number or name of a request; echoed.
 */
export type RequestId = string | number
/**
 * What the server sends.
 */
export type ServerFrame =
  | ConnectionEstablished
  | DashboardInitialized
  | SubscriptionUpdated
  | Subscribed
  | Unsubscribed
  | TopicMessage
  | CriticalAlert
  | Pong
  | DataResponse
  | DataFailure
  | Published
  | ErrorFrame
  | DisconnectNotice
  | AuthExpiring
  | AuthOk
/**
 * Given by the server, never chosen by a client.
 */
export type ConnectionId = string
export type Topic = string
/**
 * Unique and sorted.
 */
export type Topics = Topic[]
/**
 * RFC 3339, in UTC.
 */
export type Timestamp = string
/**
 * The version of this contract (semver).
 */
export type ContractVersion = string
/**
 * The view that the path named.
 */
export type ClientType = 'dashboard' | 'agents' | 'coordination' | 'tasks' | 'system'
export type ErrorCode =
  | 'protocol-violation'
  | 'message-too-large'
  | 'rate-limited'
  | 'unknown-type'
  | 'unknown-topic'
  | 'too-many-subscriptions'
  | 'forbidden'
  | 'message-lost'
  | 'auth-rejected'
  | 'clock-ahead'
  | 'redis-unavailable'

/**
 * Answered with pong. Other fields are ignored.
 */
export interface Ping {
  type: 'ping'
  /**
   * Echoed when it is a string, a number, true, false or null.
   */
  client_time?: {} | unknown[] | string | number | boolean | null
  correlation_id?: CorrelationId
}
/**
 * Adds topics. At most one error for the cap and one for unknown names, then one subscription_updated.
 */
export interface SubscribeList {
  type: 'subscribe'
  /**
   * Topics; none when it is left out.
   *
   * @maxItems 1000
   */
  subscriptions?: string[]
  correlation_id?: CorrelationId
}
/**
 * Adds one topic: subscribed or error.
 */
export interface SubscribeTopic {
  type: 'subscribe'
  topic: string
  id?: RequestId
  correlation_id?: CorrelationId
}
/**
 * Removes topics. At most one error for unknown names, then one subscription_updated.
 */
export interface UnsubscribeList {
  type: 'unsubscribe'
  /**
   * Topics; none when it is left out.
   *
   * @maxItems 1000
   */
  subscriptions?: string[]
  correlation_id?: CorrelationId
}
/**
 * Removes one topic: unsubscribed or error.
 */
export interface UnsubscribeTopic {
  type: 'unsubscribe'
  topic: string
  id?: RequestId
  correlation_id?: CorrelationId
}
/**
 * Answered with data_response or data_error.
 */
export interface DataRequest {
  type: 'request_data'
  /**
   * agent_status, coordination_metrics or system_health.
   */
  data_type: string
  /**
   * Of agent_status: limit (1 to 1000, default 1000) and after, an agent id. Others are ignored.
   */
  params?: {} | unknown[] | string | number | boolean | null
  correlation_id?: CorrelationId
}
/**
 * A new JWT for this socket, answered with auth_ok or error. It is kept nowhere.
 */
export interface Auth {
  type: 'auth'
  token: string
  correlation_id?: CorrelationId
}
/**
 * Publishes an envelope on a topic of OUTBOX_TOPICS: published or error, with the correlation_id of the envelope.
 */
export interface PublishRequest {
  type: 'publish'
  topic: string
  envelope: Envelope
  id?: RequestId
  correlation_id?: CorrelationId
}
/**
 * A change that a client made, perhaps offline. It is published once for its correlation_id, topic and subject within 7 days.
 */
export interface Envelope {
  /**
   * A UUID in lower case.
   */
  correlation_id: string
  /**
   * Milliseconds since 1970 of a clock that never goes back; at most 5 minutes ahead of the server.
   */
  ts: number
  op: 'create' | 'update' | 'delete'
  /**
   * What kind of thing changed.
   */
  domain: string
  /**
   * Which one changed.
   */
  id: string
  /**
   * Its new value; none of a delete.
   */
  data?: {} | unknown[] | string | number | boolean | null
}
/**
 * Always the first frame.
 */
export interface ConnectionEstablished {
  type: 'connection_established'
  connection_id: ConnectionId
  subscriptions: Topics
  server_time: Timestamp
  contract_version: ContractVersion
  /**
   * The largest frame that the gateway takes of this client, in bytes.
   */
  max_inbound_message_bytes?: number
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The second frame, only with ?initialized=1.
 */
export interface DashboardInitialized {
  type: 'dashboard_initialized'
  subscriptions: Topics
  contract_version: ContractVersion
  connection_info: {
    connection_id: ConnectionId
    client_type: ClientType
    server_time: Timestamp
    /**
     * The connection_id of the query: the client's own name for this socket.
     */
    label?: string
  }
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * All topics of the socket.
 */
export interface SubscriptionUpdated {
  type: 'subscription_updated'
  subscriptions: Topics
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * What is published on the topic from now on will come.
 */
export interface Subscribed {
  type: 'subscribed'
  topic: Topic
  id?: RequestId
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * Nothing of the topic will come any more.
 */
export interface Unsubscribed {
  type: 'unsubscribed'
  topic: Topic
  id?: RequestId
  /**
   * Set where the client did not ask for it: its new JWT does not grant the topic.
   */
  reason?: 'forbidden'
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * From Redis or a broadcast: <x>_update, <x>_event, or whatever else an agent calls it; never the name of another frame of this contract.
 */
export interface TopicMessage {
  type: string
  subscription: Topic
  /**
   * As it was published.
   */
  data: {} | unknown[] | string | number | boolean | null
  /**
   * With agent_event: the suffix of the channel.
   */
  agent_id?: string
  /**
   * true: the last message from before the socket subscribed the topic. Other messages lack it.
   */
  retained?: boolean
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * To the topic alerts only.
 */
export interface CriticalAlert {
  type: 'critical_alert'
  subscription: 'alerts'
  data: {
    alerts: ({} | unknown[] | string | number | boolean | null)[]
  }
  /**
   * true: the last message from before the socket subscribed the topic. Other messages lack it.
   */
  retained?: boolean
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The answer to ping.
 */
export interface Pong {
  type: 'pong'
  /**
   * That of the ping.
   */
  client_time?: string | number | boolean | null
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The answer to request_data.
 */
export interface DataResponse {
  type: 'data_response'
  data_type: string
  data: {}
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * No such data, or it cannot be had now.
 */
export interface DataFailure {
  type: 'data_error'
  data_type: string
  error: string
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The envelope with this correlation_id is published.
 */
export interface Published {
  type: 'published'
  topic: Topic
  /**
   * It had been published before, and was not published again.
   */
  duplicate: boolean
  id?: RequestId
  server_time: Timestamp
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * A frame of the client was not accepted. The socket stays.
 */
export interface ErrorFrame {
  type: 'error'
  code: ErrorCode
  message: string
  id?: RequestId
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * Before every close that the server starts; the close follows at once.
 */
export interface DisconnectNotice {
  type: 'disconnect_notice'
  reason: string
  /**
   * Come back after so long. Without it: do not come back by yourself.
   */
  reconnect_after_ms?: number
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The JWT of this socket ends soon, and the socket with it, unless the client sends auth.
 */
export interface AuthExpiring {
  type: 'auth_expiring'
  expires_at: Timestamp
  in_ms: number
  timestamp: Timestamp
  correlation_id: CorrelationId
}
/**
 * The new JWT counts from now on.
 */
export interface AuthOk {
  type: 'auth_ok'
  /**
   * RFC 3339, in UTC.
   */
  expires_at?: string
  timestamp: Timestamp
  correlation_id: CorrelationId
}
