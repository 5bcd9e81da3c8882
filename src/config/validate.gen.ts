// @ts-nocheck
// Generated from src/config/table.ts by `npm run generate`. Do not edit.
import type { ValidateFunction } from 'ajv'
import * as module0 from './kinds.ts'

export const validateSettings: ValidateFunction = validate10;
const schema11 = {"$id":"settings","type":"object","properties":{"NODE_ENV":{"convert":{"kind":"choice","choices":["production","development","test"]},"default":"development"},"LISTEN_ADDR":{"convert":{"kind":"address"},"default":"127.0.0.1:8080"},"PORT":{"convert":{"kind":"integer","maximum":"65535"}},"HOST":{"convert":{"kind":"string"}},"TLS_CERT":{"convert":{"kind":"string"}},"TLS_KEY":{"convert":{"kind":"string"}},"LANDING_PAGE":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"DEMO_AGENT":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"WORKERS":{"convert":{"kind":"integerOrAuto","minimum":"1","maximum":"64"},"default":"1"},"ADMIN_PORT":{"convert":{"kind":"integer","minimum":"1","maximum":"65535"}},"ADMIN_TOKEN":{"convert":{"kind":"string"}},"FLEET_SECRET":{"convert":{"kind":"string"}},"TRUST_PROXY":{"convert":{"kind":"choice","choices":["none","x-forwarded-for","forwarded","proxy-protocol"]},"default":"none"},"TRUST_PROXY_HOPS":{"convert":{"kind":"integer","minimum":"1","maximum":"32"},"default":"1"},"TRUST_PROXY_CIDR":{"convert":{"kind":"list"},"default":""},"REDIS_URL":{"convert":{"kind":"redisUrl"}},"REDIS_HOST":{"convert":{"kind":"string"}},"REDIS_PORT":{"convert":{"kind":"integer","minimum":"1","maximum":"65535"}},"REDIS_USERNAME":{"convert":{"kind":"string"}},"REDIS_PASSWORD":{"convert":{"kind":"string"}},"REDIS_DB":{"convert":{"kind":"integer"}},"REDIS_TLS":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"REDIS_TLS_CA":{"convert":{"kind":"string"}},"REDIS_TLS_CERT":{"convert":{"kind":"string"}},"REDIS_TLS_KEY":{"convert":{"kind":"string"}},"REDIS_TLS_SERVERNAME":{"convert":{"kind":"string"}},"REDIS_SENTINELS":{"convert":{"kind":"list"},"default":""},"REDIS_SENTINEL_MASTER":{"convert":{"kind":"string"},"default":"mymaster"},"REDIS_SENTINEL_USERNAME":{"convert":{"kind":"string"}},"REDIS_SENTINEL_TLS":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"REDIS_SENTINEL_PASSWORD":{"convert":{"kind":"string"}},"REDIS_CLUSTER_NODES":{"convert":{"kind":"list"},"default":""},"REDIS_ADDRESS_MAP":{"convert":{"kind":"list"},"default":""},"REDIS_KEY_PREFIX":{"convert":{"kind":"string"},"default":""},"REDIS_SHARDED_PUBSUB":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"REDIS_CANARY_INTERVAL":{"convert":{"kind":"duration"},"default":"2s"},"REDIS_CANARY_TIMEOUT":{"convert":{"kind":"duration","minimum":"100ms"},"default":"6s"},"REDIS_SET_KEYSPACE_EVENTS":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"HANDSHAKE_TIMEOUT":{"convert":{"kind":"duration","minimum":"10ms"},"default":"5s"},"AUTH_TOKEN_MODE":{"convert":{"kind":"choice","choices":["single-use","reusable"]},"default":"single-use"},"AUTH_RECONNECT_GRACE":{"convert":{"kind":"duration"},"default":"0"},"AUTH_ALLOW_QUERY_TOKEN":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"ALLOWED_ORIGINS":{"convert":{"kind":"list"},"default":""},"REQUIRE_ORIGIN":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"AUTH_JWT_SECRET":{"convert":{"kind":"string"}},"AUTH_JWKS_FILE":{"convert":{"kind":"string"}},"AUTH_JWKS_URL":{"convert":{"kind":"httpUrl"}},"AUTH_JWKS_MAX_AGE":{"convert":{"kind":"duration"},"default":"10m"},"AUTH_JWKS_COOLDOWN":{"convert":{"kind":"duration","minimum":"1s"},"default":"30s"},"AUTH_JWKS_STALE":{"convert":{"kind":"duration"},"default":"24h"},"AUTH_JWT_AUDIENCE":{"convert":{"kind":"list"},"default":""},"AUTH_JWT_ISSUER":{"convert":{"kind":"list"},"default":""},"AUTH_JWT_ROLE_CLAIM":{"convert":{"kind":"string"}},"AUTH_JWT_SKEW":{"convert":{"kind":"duration","maximum":"10m"},"default":"30s"},"AUTH_JWT_MAX_LIFETIME":{"convert":{"kind":"duration"},"default":"0"},"AUTH_REVOKED_MAX":{"convert":{"kind":"integer","minimum":"1","maximum":"1000000"},"default":"100000"},"AUTH_REMOVED_KEY_GRACE":{"convert":{"kind":"duration","maximum":"1h"},"default":"60s"},"AUTH_EXPIRY_NOTICE":{"convert":{"kind":"duration","maximum":"1h"},"default":"60s"},"AUTH_LOGIN":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"AUTH_ACCESS_TTL":{"convert":{"kind":"duration","minimum":"1m","maximum":"24h"},"default":"15m"},"AUTH_REFRESH_TTL":{"convert":{"kind":"duration","minimum":"1m"},"default":"14d"},"DEFAULT_ADMIN_EMAIL":{"convert":{"kind":"string"}},"DEFAULT_ADMIN_PASSWORD":{"convert":{"kind":"string"}},"MAX_CONNECTIONS":{"convert":{"kind":"integer","minimum":"1"}},"RESERVED_CONNECTIONS":{"convert":{"kind":"integer"}},"MAX_CONNECTIONS_PER_IP":{"convert":{"kind":"integer"},"default":"0"},"CONNECT_RATE":{"convert":{"kind":"integer"},"default":"2000"},"CONNECT_RATE_PER_IP":{"convert":{"kind":"integer"},"default":"500"},"REFUSED_RATE_PER_IP":{"convert":{"kind":"integer"},"default":"50"},"REFUSED_OPEN_MAX":{"convert":{"kind":"integer"},"default":"1000"},"MAX_MESSAGE_SIZE":{"convert":{"kind":"size","minimum":"1","maximum":"64MiB"}},"JSON_MAX_DEPTH":{"convert":{"kind":"integer","minimum":"4","maximum":"1000"},"default":"128"},"MAX_BUFFER_SIZE_BYTES":{"convert":{"kind":"size","minimum":"1KiB"},"default":"1MiB"},"MAX_DOWN_MESSAGE_BYTES":{"convert":{"kind":"size","minimum":"1KiB","maximum":"512MiB"},"default":"10MiB"},"MAX_BUFFERED_BYTES":{"convert":{"kind":"size","minimum":"1KiB"}},"UPSTREAM_BUFFER_MESSAGES":{"convert":{"kind":"integer"},"default":"1000"},"UPSTREAM_BUFFER_BYTES":{"convert":{"kind":"size"},"default":"64MiB"},"PING_INTERVAL":{"convert":{"kind":"duration","minimum":"100ms"},"default":"25s"},"PONG_TIMEOUT":{"convert":{"kind":"duration","minimum":"200ms"},"default":"50s"},"SLOW_CLOSE_GRACE":{"convert":{"kind":"duration"},"default":"5s"},"SHUTDOWN_GRACE_PERIOD":{"convert":{"kind":"duration","minimum":"100ms"},"default":"30s"},"DRAIN_WINDOW":{"convert":{"kind":"duration"},"default":"10s"},"DRAIN_DELAY":{"convert":{"kind":"duration"},"default":"0"},"SESSION_UPSTREAM":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"SESSION_BINARY":{"convert":{"kind":"choice","choices":["refuse","pass"]},"default":"refuse"},"SESSION_REFUSE":{"convert":{"kind":"choice","choices":["http","close"]},"default":"http"},"SESSION_FLOW_SIGNAL":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"SESSION_RATE":{"convert":{"kind":"integer"},"default":"1000"},"SESSION_RATE_BURST":{"convert":{"kind":"integer","minimum":"1"},"default":"2000"},"SESSION_BYTE_RATE":{"convert":{"kind":"size"},"default":"8MiB"},"SESSION_RESUME_PAGE":{"convert":{"kind":"integer","minimum":"1","maximum":"10000"},"default":"200"},"RESUME_TICKET_TTL":{"convert":{"kind":"duration","maximum":"24h"},"default":"10m"},"RESUME_MAX_LIFETIME":{"convert":{"kind":"duration","minimum":"1s"},"default":"24h"},"HTTP_STREAMS":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"SSE_PING":{"convert":{"kind":"choice","choices":["comment","event"]},"default":"comment"},"SSE_PING_INTERVAL":{"convert":{"kind":"duration","minimum":"100ms"},"default":"15s"},"SSE_MAX_LIFETIME":{"convert":{"kind":"duration","minimum":"1s"},"default":"30m"},"SSE_TICKET_TTL":{"convert":{"kind":"duration","minimum":"1s","maximum":"24h"},"default":"12h"},"SESSION_LOG_INSTALL":{"convert":{"kind":"boolean","choices":["true","false"]}},"SESSION_IDLE_TIMEOUT":{"convert":{"kind":"duration"},"default":"0"},"STREAM_END_TIMEOUT":{"convert":{"kind":"duration"},"default":"60s"},"STREAM_APPEND":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"STREAM_MAX_BODY":{"convert":{"kind":"size","minimum":"1KiB","maximum":"64MiB"},"default":"1MiB"},"STREAM_POLL_TIMEOUT":{"convert":{"kind":"duration","minimum":"100ms","maximum":"10m"},"default":"20s"},"RUN_DOOR":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"RUN_PATH":{"convert":{"kind":"string"},"default":"/"},"RUN_AUTH":{"convert":{"kind":"choice","choices":["none","bearer"]},"default":"none"},"RUN_REFUSE":{"convert":{"kind":"choice","choices":["http","close"]},"default":"http"},"RUN_KEY_PREFIX":{"convert":{"kind":"string"},"default":""},"RUN_PING_INTERVAL":{"convert":{"kind":"duration","minimum":"100ms"},"default":"5s"},"RUN_PONG_TIMEOUT":{"convert":{"kind":"duration","minimum":"200ms"},"default":"65s"},"RUN_RESYNC_INTERVAL":{"convert":{"kind":"duration"},"default":"30s"},"RUN_MAX_FIELDS":{"convert":{"kind":"integer"},"default":"20000"},"RUN_REDIS_MAX_RETRIES":{"convert":{"kind":"integer"},"default":"5"},"RUN_REDIS_TIMEOUT":{"convert":{"kind":"duration","minimum":"10ms"},"default":"500ms"},"RUN_REDIS_RETRY_BASE":{"convert":{"kind":"duration","minimum":"1ms"},"default":"500ms"},"RUN_REDIS_RETRY_MAX":{"convert":{"kind":"duration","minimum":"1ms"},"default":"5s"},"RUN_CHECKLIST_MODULE":{"convert":{"kind":"string"}},"LIVE_TOPICS":{"convert":{"kind":"list"},"default":""},"LIVE_TOPIC_ROLES":{"convert":{"kind":"list"},"default":""},"LIVE_LAST":{"convert":{"kind":"list"},"default":""},"LIVE_LAST_TTL":{"convert":{"kind":"duration","minimum":"1s"},"default":"24h"},"LIVE_LAST_MAX_BYTES":{"convert":{"kind":"size","minimum":"1KiB"},"default":"128KiB"},"LIVE_MAX_SUBSCRIPTIONS":{"convert":{"kind":"integer","minimum":"1","maximum":"1000"},"default":"10"},"LIVE_RATE":{"convert":{"kind":"integer"},"default":"20"},"LIVE_RATE_BURST":{"convert":{"kind":"integer","minimum":"1"},"default":"40"},"LIVE_BYTE_RATE":{"convert":{"kind":"size"},"default":"512KiB"},"LIVE_IDLE_TIMEOUT":{"convert":{"kind":"duration"},"default":"600s"},"LIVE_MAX_DROPS":{"convert":{"kind":"integer","minimum":"1"},"default":"5"},"LIVE_COMPRESSION":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"LIVE_REFUSE":{"convert":{"kind":"choice","choices":["close","http"]},"default":"close"},"LIVE_START":{"convert":{"kind":"choice","choices":["view","none"]},"default":"view"},"LIVE_PATH":{"convert":{"kind":"string"},"default":"/live"},"LIVE_UNKNOWN_TYPE":{"convert":{"kind":"choice","choices":["unknown-type","protocol-violation"]},"default":"unknown-type"},"OUTBOX_TOPICS":{"convert":{"kind":"list"},"default":""},"OUTBOX_MAX_PER_DAY":{"convert":{"kind":"integer","minimum":"1"},"default":"10000"},"OUTBOX_LOG_LENGTH":{"convert":{"kind":"integer","minimum":"1"},"default":"10000"},"WS_ALLOWED_ORIGINS":{"convert":{"kind":"list"}},"WS_AUTH_REQUIRED":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"false"},"WS_AUTH_TOKEN":{"convert":{"kind":"string"}},"LOG_LEVEL":{"convert":{"kind":"level","choices":["trace","debug","info","warn","error","fatal","silent"]},"default":"info"},"HEAP_SNAPSHOT_DIR":{"convert":{"kind":"string"}},"METRICS_ENABLED":{"convert":{"kind":"boolean","choices":["true","false"]},"default":"true"},"METRICS_MAX_AGE":{"convert":{"kind":"duration","maximum":"1m"},"default":"1s"},"METRICS_ALIASES":{"convert":{"kind":"list"},"default":""},"OTEL_EXPORTER_OTLP_ENDPOINT":{"convert":{"kind":"httpUrl"}},"PREFLIGHT_CHECK_TIMEOUT":{"convert":{"kind":"duration","minimum":"10ms","maximum":"2s"},"default":"500ms"},"PREFLIGHT_HTTP_DEPENDENCIES":{"convert":{"kind":"list"},"default":""},"PREFLIGHT_EVENT_TYPES":{"convert":{"kind":"list"},"default":""},"PREFLIGHT_RETENTION":{"convert":{"kind":"duration","minimum":"1h","maximum":"366d"},"default":"30d"},"PREFLIGHT_EXPECTED_RATE":{"convert":{"kind":"size"},"default":"16MiB"},"PREFLIGHT_CHECKS_FOLDER":{"convert":{"kind":"string"}},"SENTRY_DSN":{"convert":{"kind":"string"}}}};
const func2 = module0.convert;

function validate10(data, {instancePath="", parentData, parentDataProperty, rootData=data}={}){
/*# sourceURL="settings" */;
let vErrors = null;
let errors = 0;
if(data && typeof data == "object" && !Array.isArray(data)){
if(data.NODE_ENV === undefined){
data.NODE_ENV = "development";
}
if(data.LISTEN_ADDR === undefined){
data.LISTEN_ADDR = "127.0.0.1:8080";
}
if(data.LANDING_PAGE === undefined){
data.LANDING_PAGE = "true";
}
if(data.DEMO_AGENT === undefined){
data.DEMO_AGENT = "true";
}
if(data.WORKERS === undefined){
data.WORKERS = "1";
}
if(data.TRUST_PROXY === undefined){
data.TRUST_PROXY = "none";
}
if(data.TRUST_PROXY_HOPS === undefined){
data.TRUST_PROXY_HOPS = "1";
}
if(data.TRUST_PROXY_CIDR === undefined){
data.TRUST_PROXY_CIDR = "";
}
if(data.REDIS_TLS === undefined){
data.REDIS_TLS = "false";
}
if(data.REDIS_SENTINELS === undefined){
data.REDIS_SENTINELS = "";
}
if(data.REDIS_SENTINEL_MASTER === undefined){
data.REDIS_SENTINEL_MASTER = "mymaster";
}
if(data.REDIS_SENTINEL_TLS === undefined){
data.REDIS_SENTINEL_TLS = "false";
}
if(data.REDIS_CLUSTER_NODES === undefined){
data.REDIS_CLUSTER_NODES = "";
}
if(data.REDIS_ADDRESS_MAP === undefined){
data.REDIS_ADDRESS_MAP = "";
}
if(data.REDIS_KEY_PREFIX === undefined){
data.REDIS_KEY_PREFIX = "";
}
if(data.REDIS_SHARDED_PUBSUB === undefined){
data.REDIS_SHARDED_PUBSUB = "false";
}
if(data.REDIS_CANARY_INTERVAL === undefined){
data.REDIS_CANARY_INTERVAL = "2s";
}
if(data.REDIS_CANARY_TIMEOUT === undefined){
data.REDIS_CANARY_TIMEOUT = "6s";
}
if(data.REDIS_SET_KEYSPACE_EVENTS === undefined){
data.REDIS_SET_KEYSPACE_EVENTS = "false";
}
if(data.HANDSHAKE_TIMEOUT === undefined){
data.HANDSHAKE_TIMEOUT = "5s";
}
if(data.AUTH_TOKEN_MODE === undefined){
data.AUTH_TOKEN_MODE = "single-use";
}
if(data.AUTH_RECONNECT_GRACE === undefined){
data.AUTH_RECONNECT_GRACE = "0";
}
if(data.AUTH_ALLOW_QUERY_TOKEN === undefined){
data.AUTH_ALLOW_QUERY_TOKEN = "false";
}
if(data.ALLOWED_ORIGINS === undefined){
data.ALLOWED_ORIGINS = "";
}
if(data.REQUIRE_ORIGIN === undefined){
data.REQUIRE_ORIGIN = "false";
}
if(data.AUTH_JWKS_MAX_AGE === undefined){
data.AUTH_JWKS_MAX_AGE = "10m";
}
if(data.AUTH_JWKS_COOLDOWN === undefined){
data.AUTH_JWKS_COOLDOWN = "30s";
}
if(data.AUTH_JWKS_STALE === undefined){
data.AUTH_JWKS_STALE = "24h";
}
if(data.AUTH_JWT_AUDIENCE === undefined){
data.AUTH_JWT_AUDIENCE = "";
}
if(data.AUTH_JWT_ISSUER === undefined){
data.AUTH_JWT_ISSUER = "";
}
if(data.AUTH_JWT_SKEW === undefined){
data.AUTH_JWT_SKEW = "30s";
}
if(data.AUTH_JWT_MAX_LIFETIME === undefined){
data.AUTH_JWT_MAX_LIFETIME = "0";
}
if(data.AUTH_REVOKED_MAX === undefined){
data.AUTH_REVOKED_MAX = "100000";
}
if(data.AUTH_REMOVED_KEY_GRACE === undefined){
data.AUTH_REMOVED_KEY_GRACE = "60s";
}
if(data.AUTH_EXPIRY_NOTICE === undefined){
data.AUTH_EXPIRY_NOTICE = "60s";
}
if(data.AUTH_LOGIN === undefined){
data.AUTH_LOGIN = "false";
}
if(data.AUTH_ACCESS_TTL === undefined){
data.AUTH_ACCESS_TTL = "15m";
}
if(data.AUTH_REFRESH_TTL === undefined){
data.AUTH_REFRESH_TTL = "14d";
}
if(data.MAX_CONNECTIONS_PER_IP === undefined){
data.MAX_CONNECTIONS_PER_IP = "0";
}
if(data.CONNECT_RATE === undefined){
data.CONNECT_RATE = "2000";
}
if(data.CONNECT_RATE_PER_IP === undefined){
data.CONNECT_RATE_PER_IP = "500";
}
if(data.REFUSED_RATE_PER_IP === undefined){
data.REFUSED_RATE_PER_IP = "50";
}
if(data.REFUSED_OPEN_MAX === undefined){
data.REFUSED_OPEN_MAX = "1000";
}
if(data.JSON_MAX_DEPTH === undefined){
data.JSON_MAX_DEPTH = "128";
}
if(data.MAX_BUFFER_SIZE_BYTES === undefined){
data.MAX_BUFFER_SIZE_BYTES = "1MiB";
}
if(data.MAX_DOWN_MESSAGE_BYTES === undefined){
data.MAX_DOWN_MESSAGE_BYTES = "10MiB";
}
if(data.UPSTREAM_BUFFER_MESSAGES === undefined){
data.UPSTREAM_BUFFER_MESSAGES = "1000";
}
if(data.UPSTREAM_BUFFER_BYTES === undefined){
data.UPSTREAM_BUFFER_BYTES = "64MiB";
}
if(data.PING_INTERVAL === undefined){
data.PING_INTERVAL = "25s";
}
if(data.PONG_TIMEOUT === undefined){
data.PONG_TIMEOUT = "50s";
}
if(data.SLOW_CLOSE_GRACE === undefined){
data.SLOW_CLOSE_GRACE = "5s";
}
if(data.SHUTDOWN_GRACE_PERIOD === undefined){
data.SHUTDOWN_GRACE_PERIOD = "30s";
}
if(data.DRAIN_WINDOW === undefined){
data.DRAIN_WINDOW = "10s";
}
if(data.DRAIN_DELAY === undefined){
data.DRAIN_DELAY = "0";
}
if(data.SESSION_UPSTREAM === undefined){
data.SESSION_UPSTREAM = "true";
}
if(data.SESSION_BINARY === undefined){
data.SESSION_BINARY = "refuse";
}
if(data.SESSION_REFUSE === undefined){
data.SESSION_REFUSE = "http";
}
if(data.SESSION_FLOW_SIGNAL === undefined){
data.SESSION_FLOW_SIGNAL = "false";
}
if(data.SESSION_RATE === undefined){
data.SESSION_RATE = "1000";
}
if(data.SESSION_RATE_BURST === undefined){
data.SESSION_RATE_BURST = "2000";
}
if(data.SESSION_BYTE_RATE === undefined){
data.SESSION_BYTE_RATE = "8MiB";
}
if(data.SESSION_RESUME_PAGE === undefined){
data.SESSION_RESUME_PAGE = "200";
}
if(data.RESUME_TICKET_TTL === undefined){
data.RESUME_TICKET_TTL = "10m";
}
if(data.RESUME_MAX_LIFETIME === undefined){
data.RESUME_MAX_LIFETIME = "24h";
}
if(data.HTTP_STREAMS === undefined){
data.HTTP_STREAMS = "true";
}
if(data.SSE_PING === undefined){
data.SSE_PING = "comment";
}
if(data.SSE_PING_INTERVAL === undefined){
data.SSE_PING_INTERVAL = "15s";
}
if(data.SSE_MAX_LIFETIME === undefined){
data.SSE_MAX_LIFETIME = "30m";
}
if(data.SSE_TICKET_TTL === undefined){
data.SSE_TICKET_TTL = "12h";
}
if(data.SESSION_IDLE_TIMEOUT === undefined){
data.SESSION_IDLE_TIMEOUT = "0";
}
if(data.STREAM_END_TIMEOUT === undefined){
data.STREAM_END_TIMEOUT = "60s";
}
if(data.STREAM_APPEND === undefined){
data.STREAM_APPEND = "false";
}
if(data.STREAM_MAX_BODY === undefined){
data.STREAM_MAX_BODY = "1MiB";
}
if(data.STREAM_POLL_TIMEOUT === undefined){
data.STREAM_POLL_TIMEOUT = "20s";
}
if(data.RUN_DOOR === undefined){
data.RUN_DOOR = "true";
}
if(data.RUN_PATH === undefined){
data.RUN_PATH = "/";
}
if(data.RUN_AUTH === undefined){
data.RUN_AUTH = "none";
}
if(data.RUN_REFUSE === undefined){
data.RUN_REFUSE = "http";
}
if(data.RUN_KEY_PREFIX === undefined){
data.RUN_KEY_PREFIX = "";
}
if(data.RUN_PING_INTERVAL === undefined){
data.RUN_PING_INTERVAL = "5s";
}
if(data.RUN_PONG_TIMEOUT === undefined){
data.RUN_PONG_TIMEOUT = "65s";
}
if(data.RUN_RESYNC_INTERVAL === undefined){
data.RUN_RESYNC_INTERVAL = "30s";
}
if(data.RUN_MAX_FIELDS === undefined){
data.RUN_MAX_FIELDS = "20000";
}
if(data.RUN_REDIS_MAX_RETRIES === undefined){
data.RUN_REDIS_MAX_RETRIES = "5";
}
if(data.RUN_REDIS_TIMEOUT === undefined){
data.RUN_REDIS_TIMEOUT = "500ms";
}
if(data.RUN_REDIS_RETRY_BASE === undefined){
data.RUN_REDIS_RETRY_BASE = "500ms";
}
if(data.RUN_REDIS_RETRY_MAX === undefined){
data.RUN_REDIS_RETRY_MAX = "5s";
}
if(data.LIVE_TOPICS === undefined){
data.LIVE_TOPICS = "";
}
if(data.LIVE_TOPIC_ROLES === undefined){
data.LIVE_TOPIC_ROLES = "";
}
if(data.LIVE_LAST === undefined){
data.LIVE_LAST = "";
}
if(data.LIVE_LAST_TTL === undefined){
data.LIVE_LAST_TTL = "24h";
}
if(data.LIVE_LAST_MAX_BYTES === undefined){
data.LIVE_LAST_MAX_BYTES = "128KiB";
}
if(data.LIVE_MAX_SUBSCRIPTIONS === undefined){
data.LIVE_MAX_SUBSCRIPTIONS = "10";
}
if(data.LIVE_RATE === undefined){
data.LIVE_RATE = "20";
}
if(data.LIVE_RATE_BURST === undefined){
data.LIVE_RATE_BURST = "40";
}
if(data.LIVE_BYTE_RATE === undefined){
data.LIVE_BYTE_RATE = "512KiB";
}
if(data.LIVE_IDLE_TIMEOUT === undefined){
data.LIVE_IDLE_TIMEOUT = "600s";
}
if(data.LIVE_MAX_DROPS === undefined){
data.LIVE_MAX_DROPS = "5";
}
if(data.LIVE_COMPRESSION === undefined){
data.LIVE_COMPRESSION = "false";
}
if(data.LIVE_REFUSE === undefined){
data.LIVE_REFUSE = "close";
}
if(data.LIVE_START === undefined){
data.LIVE_START = "view";
}
if(data.LIVE_PATH === undefined){
data.LIVE_PATH = "/live";
}
if(data.LIVE_UNKNOWN_TYPE === undefined){
data.LIVE_UNKNOWN_TYPE = "unknown-type";
}
if(data.OUTBOX_TOPICS === undefined){
data.OUTBOX_TOPICS = "";
}
if(data.OUTBOX_MAX_PER_DAY === undefined){
data.OUTBOX_MAX_PER_DAY = "10000";
}
if(data.OUTBOX_LOG_LENGTH === undefined){
data.OUTBOX_LOG_LENGTH = "10000";
}
if(data.WS_AUTH_REQUIRED === undefined){
data.WS_AUTH_REQUIRED = "false";
}
if(data.LOG_LEVEL === undefined){
data.LOG_LEVEL = "info";
}
if(data.METRICS_ENABLED === undefined){
data.METRICS_ENABLED = "true";
}
if(data.METRICS_MAX_AGE === undefined){
data.METRICS_MAX_AGE = "1s";
}
if(data.METRICS_ALIASES === undefined){
data.METRICS_ALIASES = "";
}
if(data.PREFLIGHT_CHECK_TIMEOUT === undefined){
data.PREFLIGHT_CHECK_TIMEOUT = "500ms";
}
if(data.PREFLIGHT_HTTP_DEPENDENCIES === undefined){
data.PREFLIGHT_HTTP_DEPENDENCIES = "";
}
if(data.PREFLIGHT_EVENT_TYPES === undefined){
data.PREFLIGHT_EVENT_TYPES = "";
}
if(data.PREFLIGHT_RETENTION === undefined){
data.PREFLIGHT_RETENTION = "30d";
}
if(data.PREFLIGHT_EXPECTED_RATE === undefined){
data.PREFLIGHT_EXPECTED_RATE = "16MiB";
}
const result0 = func2(data.NODE_ENV, schema11.properties.NODE_ENV.convert);
if(result0.problem !== undefined){
const err0 = {instancePath:instancePath+"/NODE_ENV",schemaPath:"#/properties/NODE_ENV/convert",keyword:"convert",params:{},message:result0.problem};
if(vErrors === null){
vErrors = [err0];
}
else {
vErrors.push(err0);
}
errors++;
}
else {
data["NODE_ENV"] = result0.value;
}
const result1 = func2(data.LISTEN_ADDR, schema11.properties.LISTEN_ADDR.convert);
if(result1.problem !== undefined){
const err1 = {instancePath:instancePath+"/LISTEN_ADDR",schemaPath:"#/properties/LISTEN_ADDR/convert",keyword:"convert",params:{},message:result1.problem};
if(vErrors === null){
vErrors = [err1];
}
else {
vErrors.push(err1);
}
errors++;
}
else {
data["LISTEN_ADDR"] = result1.value;
}
if(data.PORT !== undefined){
const result2 = func2(data.PORT, schema11.properties.PORT.convert);
if(result2.problem !== undefined){
const err2 = {instancePath:instancePath+"/PORT",schemaPath:"#/properties/PORT/convert",keyword:"convert",params:{},message:result2.problem};
if(vErrors === null){
vErrors = [err2];
}
else {
vErrors.push(err2);
}
errors++;
}
else {
data["PORT"] = result2.value;
}
}
if(data.HOST !== undefined){
const result3 = func2(data.HOST, schema11.properties.HOST.convert);
if(result3.problem !== undefined){
const err3 = {instancePath:instancePath+"/HOST",schemaPath:"#/properties/HOST/convert",keyword:"convert",params:{},message:result3.problem};
if(vErrors === null){
vErrors = [err3];
}
else {
vErrors.push(err3);
}
errors++;
}
else {
data["HOST"] = result3.value;
}
}
if(data.TLS_CERT !== undefined){
const result4 = func2(data.TLS_CERT, schema11.properties.TLS_CERT.convert);
if(result4.problem !== undefined){
const err4 = {instancePath:instancePath+"/TLS_CERT",schemaPath:"#/properties/TLS_CERT/convert",keyword:"convert",params:{},message:result4.problem};
if(vErrors === null){
vErrors = [err4];
}
else {
vErrors.push(err4);
}
errors++;
}
else {
data["TLS_CERT"] = result4.value;
}
}
if(data.TLS_KEY !== undefined){
const result5 = func2(data.TLS_KEY, schema11.properties.TLS_KEY.convert);
if(result5.problem !== undefined){
const err5 = {instancePath:instancePath+"/TLS_KEY",schemaPath:"#/properties/TLS_KEY/convert",keyword:"convert",params:{},message:result5.problem};
if(vErrors === null){
vErrors = [err5];
}
else {
vErrors.push(err5);
}
errors++;
}
else {
data["TLS_KEY"] = result5.value;
}
}
const result6 = func2(data.LANDING_PAGE, schema11.properties.LANDING_PAGE.convert);
if(result6.problem !== undefined){
const err6 = {instancePath:instancePath+"/LANDING_PAGE",schemaPath:"#/properties/LANDING_PAGE/convert",keyword:"convert",params:{},message:result6.problem};
if(vErrors === null){
vErrors = [err6];
}
else {
vErrors.push(err6);
}
errors++;
}
else {
data["LANDING_PAGE"] = result6.value;
}
const result7 = func2(data.DEMO_AGENT, schema11.properties.DEMO_AGENT.convert);
if(result7.problem !== undefined){
const err7 = {instancePath:instancePath+"/DEMO_AGENT",schemaPath:"#/properties/DEMO_AGENT/convert",keyword:"convert",params:{},message:result7.problem};
if(vErrors === null){
vErrors = [err7];
}
else {
vErrors.push(err7);
}
errors++;
}
else {
data["DEMO_AGENT"] = result7.value;
}
const result8 = func2(data.WORKERS, schema11.properties.WORKERS.convert);
if(result8.problem !== undefined){
const err8 = {instancePath:instancePath+"/WORKERS",schemaPath:"#/properties/WORKERS/convert",keyword:"convert",params:{},message:result8.problem};
if(vErrors === null){
vErrors = [err8];
}
else {
vErrors.push(err8);
}
errors++;
}
else {
data["WORKERS"] = result8.value;
}
if(data.ADMIN_PORT !== undefined){
const result9 = func2(data.ADMIN_PORT, schema11.properties.ADMIN_PORT.convert);
if(result9.problem !== undefined){
const err9 = {instancePath:instancePath+"/ADMIN_PORT",schemaPath:"#/properties/ADMIN_PORT/convert",keyword:"convert",params:{},message:result9.problem};
if(vErrors === null){
vErrors = [err9];
}
else {
vErrors.push(err9);
}
errors++;
}
else {
data["ADMIN_PORT"] = result9.value;
}
}
if(data.ADMIN_TOKEN !== undefined){
const result10 = func2(data.ADMIN_TOKEN, schema11.properties.ADMIN_TOKEN.convert);
if(result10.problem !== undefined){
const err10 = {instancePath:instancePath+"/ADMIN_TOKEN",schemaPath:"#/properties/ADMIN_TOKEN/convert",keyword:"convert",params:{},message:result10.problem};
if(vErrors === null){
vErrors = [err10];
}
else {
vErrors.push(err10);
}
errors++;
}
else {
data["ADMIN_TOKEN"] = result10.value;
}
}
if(data.FLEET_SECRET !== undefined){
const result11 = func2(data.FLEET_SECRET, schema11.properties.FLEET_SECRET.convert);
if(result11.problem !== undefined){
const err11 = {instancePath:instancePath+"/FLEET_SECRET",schemaPath:"#/properties/FLEET_SECRET/convert",keyword:"convert",params:{},message:result11.problem};
if(vErrors === null){
vErrors = [err11];
}
else {
vErrors.push(err11);
}
errors++;
}
else {
data["FLEET_SECRET"] = result11.value;
}
}
const result12 = func2(data.TRUST_PROXY, schema11.properties.TRUST_PROXY.convert);
if(result12.problem !== undefined){
const err12 = {instancePath:instancePath+"/TRUST_PROXY",schemaPath:"#/properties/TRUST_PROXY/convert",keyword:"convert",params:{},message:result12.problem};
if(vErrors === null){
vErrors = [err12];
}
else {
vErrors.push(err12);
}
errors++;
}
else {
data["TRUST_PROXY"] = result12.value;
}
const result13 = func2(data.TRUST_PROXY_HOPS, schema11.properties.TRUST_PROXY_HOPS.convert);
if(result13.problem !== undefined){
const err13 = {instancePath:instancePath+"/TRUST_PROXY_HOPS",schemaPath:"#/properties/TRUST_PROXY_HOPS/convert",keyword:"convert",params:{},message:result13.problem};
if(vErrors === null){
vErrors = [err13];
}
else {
vErrors.push(err13);
}
errors++;
}
else {
data["TRUST_PROXY_HOPS"] = result13.value;
}
const result14 = func2(data.TRUST_PROXY_CIDR, schema11.properties.TRUST_PROXY_CIDR.convert);
if(result14.problem !== undefined){
const err14 = {instancePath:instancePath+"/TRUST_PROXY_CIDR",schemaPath:"#/properties/TRUST_PROXY_CIDR/convert",keyword:"convert",params:{},message:result14.problem};
if(vErrors === null){
vErrors = [err14];
}
else {
vErrors.push(err14);
}
errors++;
}
else {
data["TRUST_PROXY_CIDR"] = result14.value;
}
if(data.REDIS_URL !== undefined){
const result15 = func2(data.REDIS_URL, schema11.properties.REDIS_URL.convert);
if(result15.problem !== undefined){
const err15 = {instancePath:instancePath+"/REDIS_URL",schemaPath:"#/properties/REDIS_URL/convert",keyword:"convert",params:{},message:result15.problem};
if(vErrors === null){
vErrors = [err15];
}
else {
vErrors.push(err15);
}
errors++;
}
else {
data["REDIS_URL"] = result15.value;
}
}
if(data.REDIS_HOST !== undefined){
const result16 = func2(data.REDIS_HOST, schema11.properties.REDIS_HOST.convert);
if(result16.problem !== undefined){
const err16 = {instancePath:instancePath+"/REDIS_HOST",schemaPath:"#/properties/REDIS_HOST/convert",keyword:"convert",params:{},message:result16.problem};
if(vErrors === null){
vErrors = [err16];
}
else {
vErrors.push(err16);
}
errors++;
}
else {
data["REDIS_HOST"] = result16.value;
}
}
if(data.REDIS_PORT !== undefined){
const result17 = func2(data.REDIS_PORT, schema11.properties.REDIS_PORT.convert);
if(result17.problem !== undefined){
const err17 = {instancePath:instancePath+"/REDIS_PORT",schemaPath:"#/properties/REDIS_PORT/convert",keyword:"convert",params:{},message:result17.problem};
if(vErrors === null){
vErrors = [err17];
}
else {
vErrors.push(err17);
}
errors++;
}
else {
data["REDIS_PORT"] = result17.value;
}
}
if(data.REDIS_USERNAME !== undefined){
const result18 = func2(data.REDIS_USERNAME, schema11.properties.REDIS_USERNAME.convert);
if(result18.problem !== undefined){
const err18 = {instancePath:instancePath+"/REDIS_USERNAME",schemaPath:"#/properties/REDIS_USERNAME/convert",keyword:"convert",params:{},message:result18.problem};
if(vErrors === null){
vErrors = [err18];
}
else {
vErrors.push(err18);
}
errors++;
}
else {
data["REDIS_USERNAME"] = result18.value;
}
}
if(data.REDIS_PASSWORD !== undefined){
const result19 = func2(data.REDIS_PASSWORD, schema11.properties.REDIS_PASSWORD.convert);
if(result19.problem !== undefined){
const err19 = {instancePath:instancePath+"/REDIS_PASSWORD",schemaPath:"#/properties/REDIS_PASSWORD/convert",keyword:"convert",params:{},message:result19.problem};
if(vErrors === null){
vErrors = [err19];
}
else {
vErrors.push(err19);
}
errors++;
}
else {
data["REDIS_PASSWORD"] = result19.value;
}
}
if(data.REDIS_DB !== undefined){
const result20 = func2(data.REDIS_DB, schema11.properties.REDIS_DB.convert);
if(result20.problem !== undefined){
const err20 = {instancePath:instancePath+"/REDIS_DB",schemaPath:"#/properties/REDIS_DB/convert",keyword:"convert",params:{},message:result20.problem};
if(vErrors === null){
vErrors = [err20];
}
else {
vErrors.push(err20);
}
errors++;
}
else {
data["REDIS_DB"] = result20.value;
}
}
const result21 = func2(data.REDIS_TLS, schema11.properties.REDIS_TLS.convert);
if(result21.problem !== undefined){
const err21 = {instancePath:instancePath+"/REDIS_TLS",schemaPath:"#/properties/REDIS_TLS/convert",keyword:"convert",params:{},message:result21.problem};
if(vErrors === null){
vErrors = [err21];
}
else {
vErrors.push(err21);
}
errors++;
}
else {
data["REDIS_TLS"] = result21.value;
}
if(data.REDIS_TLS_CA !== undefined){
const result22 = func2(data.REDIS_TLS_CA, schema11.properties.REDIS_TLS_CA.convert);
if(result22.problem !== undefined){
const err22 = {instancePath:instancePath+"/REDIS_TLS_CA",schemaPath:"#/properties/REDIS_TLS_CA/convert",keyword:"convert",params:{},message:result22.problem};
if(vErrors === null){
vErrors = [err22];
}
else {
vErrors.push(err22);
}
errors++;
}
else {
data["REDIS_TLS_CA"] = result22.value;
}
}
if(data.REDIS_TLS_CERT !== undefined){
const result23 = func2(data.REDIS_TLS_CERT, schema11.properties.REDIS_TLS_CERT.convert);
if(result23.problem !== undefined){
const err23 = {instancePath:instancePath+"/REDIS_TLS_CERT",schemaPath:"#/properties/REDIS_TLS_CERT/convert",keyword:"convert",params:{},message:result23.problem};
if(vErrors === null){
vErrors = [err23];
}
else {
vErrors.push(err23);
}
errors++;
}
else {
data["REDIS_TLS_CERT"] = result23.value;
}
}
if(data.REDIS_TLS_KEY !== undefined){
const result24 = func2(data.REDIS_TLS_KEY, schema11.properties.REDIS_TLS_KEY.convert);
if(result24.problem !== undefined){
const err24 = {instancePath:instancePath+"/REDIS_TLS_KEY",schemaPath:"#/properties/REDIS_TLS_KEY/convert",keyword:"convert",params:{},message:result24.problem};
if(vErrors === null){
vErrors = [err24];
}
else {
vErrors.push(err24);
}
errors++;
}
else {
data["REDIS_TLS_KEY"] = result24.value;
}
}
if(data.REDIS_TLS_SERVERNAME !== undefined){
const result25 = func2(data.REDIS_TLS_SERVERNAME, schema11.properties.REDIS_TLS_SERVERNAME.convert);
if(result25.problem !== undefined){
const err25 = {instancePath:instancePath+"/REDIS_TLS_SERVERNAME",schemaPath:"#/properties/REDIS_TLS_SERVERNAME/convert",keyword:"convert",params:{},message:result25.problem};
if(vErrors === null){
vErrors = [err25];
}
else {
vErrors.push(err25);
}
errors++;
}
else {
data["REDIS_TLS_SERVERNAME"] = result25.value;
}
}
const result26 = func2(data.REDIS_SENTINELS, schema11.properties.REDIS_SENTINELS.convert);
if(result26.problem !== undefined){
const err26 = {instancePath:instancePath+"/REDIS_SENTINELS",schemaPath:"#/properties/REDIS_SENTINELS/convert",keyword:"convert",params:{},message:result26.problem};
if(vErrors === null){
vErrors = [err26];
}
else {
vErrors.push(err26);
}
errors++;
}
else {
data["REDIS_SENTINELS"] = result26.value;
}
const result27 = func2(data.REDIS_SENTINEL_MASTER, schema11.properties.REDIS_SENTINEL_MASTER.convert);
if(result27.problem !== undefined){
const err27 = {instancePath:instancePath+"/REDIS_SENTINEL_MASTER",schemaPath:"#/properties/REDIS_SENTINEL_MASTER/convert",keyword:"convert",params:{},message:result27.problem};
if(vErrors === null){
vErrors = [err27];
}
else {
vErrors.push(err27);
}
errors++;
}
else {
data["REDIS_SENTINEL_MASTER"] = result27.value;
}
if(data.REDIS_SENTINEL_USERNAME !== undefined){
const result28 = func2(data.REDIS_SENTINEL_USERNAME, schema11.properties.REDIS_SENTINEL_USERNAME.convert);
if(result28.problem !== undefined){
const err28 = {instancePath:instancePath+"/REDIS_SENTINEL_USERNAME",schemaPath:"#/properties/REDIS_SENTINEL_USERNAME/convert",keyword:"convert",params:{},message:result28.problem};
if(vErrors === null){
vErrors = [err28];
}
else {
vErrors.push(err28);
}
errors++;
}
else {
data["REDIS_SENTINEL_USERNAME"] = result28.value;
}
}
const result29 = func2(data.REDIS_SENTINEL_TLS, schema11.properties.REDIS_SENTINEL_TLS.convert);
if(result29.problem !== undefined){
const err29 = {instancePath:instancePath+"/REDIS_SENTINEL_TLS",schemaPath:"#/properties/REDIS_SENTINEL_TLS/convert",keyword:"convert",params:{},message:result29.problem};
if(vErrors === null){
vErrors = [err29];
}
else {
vErrors.push(err29);
}
errors++;
}
else {
data["REDIS_SENTINEL_TLS"] = result29.value;
}
if(data.REDIS_SENTINEL_PASSWORD !== undefined){
const result30 = func2(data.REDIS_SENTINEL_PASSWORD, schema11.properties.REDIS_SENTINEL_PASSWORD.convert);
if(result30.problem !== undefined){
const err30 = {instancePath:instancePath+"/REDIS_SENTINEL_PASSWORD",schemaPath:"#/properties/REDIS_SENTINEL_PASSWORD/convert",keyword:"convert",params:{},message:result30.problem};
if(vErrors === null){
vErrors = [err30];
}
else {
vErrors.push(err30);
}
errors++;
}
else {
data["REDIS_SENTINEL_PASSWORD"] = result30.value;
}
}
const result31 = func2(data.REDIS_CLUSTER_NODES, schema11.properties.REDIS_CLUSTER_NODES.convert);
if(result31.problem !== undefined){
const err31 = {instancePath:instancePath+"/REDIS_CLUSTER_NODES",schemaPath:"#/properties/REDIS_CLUSTER_NODES/convert",keyword:"convert",params:{},message:result31.problem};
if(vErrors === null){
vErrors = [err31];
}
else {
vErrors.push(err31);
}
errors++;
}
else {
data["REDIS_CLUSTER_NODES"] = result31.value;
}
const result32 = func2(data.REDIS_ADDRESS_MAP, schema11.properties.REDIS_ADDRESS_MAP.convert);
if(result32.problem !== undefined){
const err32 = {instancePath:instancePath+"/REDIS_ADDRESS_MAP",schemaPath:"#/properties/REDIS_ADDRESS_MAP/convert",keyword:"convert",params:{},message:result32.problem};
if(vErrors === null){
vErrors = [err32];
}
else {
vErrors.push(err32);
}
errors++;
}
else {
data["REDIS_ADDRESS_MAP"] = result32.value;
}
const result33 = func2(data.REDIS_KEY_PREFIX, schema11.properties.REDIS_KEY_PREFIX.convert);
if(result33.problem !== undefined){
const err33 = {instancePath:instancePath+"/REDIS_KEY_PREFIX",schemaPath:"#/properties/REDIS_KEY_PREFIX/convert",keyword:"convert",params:{},message:result33.problem};
if(vErrors === null){
vErrors = [err33];
}
else {
vErrors.push(err33);
}
errors++;
}
else {
data["REDIS_KEY_PREFIX"] = result33.value;
}
const result34 = func2(data.REDIS_SHARDED_PUBSUB, schema11.properties.REDIS_SHARDED_PUBSUB.convert);
if(result34.problem !== undefined){
const err34 = {instancePath:instancePath+"/REDIS_SHARDED_PUBSUB",schemaPath:"#/properties/REDIS_SHARDED_PUBSUB/convert",keyword:"convert",params:{},message:result34.problem};
if(vErrors === null){
vErrors = [err34];
}
else {
vErrors.push(err34);
}
errors++;
}
else {
data["REDIS_SHARDED_PUBSUB"] = result34.value;
}
const result35 = func2(data.REDIS_CANARY_INTERVAL, schema11.properties.REDIS_CANARY_INTERVAL.convert);
if(result35.problem !== undefined){
const err35 = {instancePath:instancePath+"/REDIS_CANARY_INTERVAL",schemaPath:"#/properties/REDIS_CANARY_INTERVAL/convert",keyword:"convert",params:{},message:result35.problem};
if(vErrors === null){
vErrors = [err35];
}
else {
vErrors.push(err35);
}
errors++;
}
else {
data["REDIS_CANARY_INTERVAL"] = result35.value;
}
const result36 = func2(data.REDIS_CANARY_TIMEOUT, schema11.properties.REDIS_CANARY_TIMEOUT.convert);
if(result36.problem !== undefined){
const err36 = {instancePath:instancePath+"/REDIS_CANARY_TIMEOUT",schemaPath:"#/properties/REDIS_CANARY_TIMEOUT/convert",keyword:"convert",params:{},message:result36.problem};
if(vErrors === null){
vErrors = [err36];
}
else {
vErrors.push(err36);
}
errors++;
}
else {
data["REDIS_CANARY_TIMEOUT"] = result36.value;
}
const result37 = func2(data.REDIS_SET_KEYSPACE_EVENTS, schema11.properties.REDIS_SET_KEYSPACE_EVENTS.convert);
if(result37.problem !== undefined){
const err37 = {instancePath:instancePath+"/REDIS_SET_KEYSPACE_EVENTS",schemaPath:"#/properties/REDIS_SET_KEYSPACE_EVENTS/convert",keyword:"convert",params:{},message:result37.problem};
if(vErrors === null){
vErrors = [err37];
}
else {
vErrors.push(err37);
}
errors++;
}
else {
data["REDIS_SET_KEYSPACE_EVENTS"] = result37.value;
}
const result38 = func2(data.HANDSHAKE_TIMEOUT, schema11.properties.HANDSHAKE_TIMEOUT.convert);
if(result38.problem !== undefined){
const err38 = {instancePath:instancePath+"/HANDSHAKE_TIMEOUT",schemaPath:"#/properties/HANDSHAKE_TIMEOUT/convert",keyword:"convert",params:{},message:result38.problem};
if(vErrors === null){
vErrors = [err38];
}
else {
vErrors.push(err38);
}
errors++;
}
else {
data["HANDSHAKE_TIMEOUT"] = result38.value;
}
const result39 = func2(data.AUTH_TOKEN_MODE, schema11.properties.AUTH_TOKEN_MODE.convert);
if(result39.problem !== undefined){
const err39 = {instancePath:instancePath+"/AUTH_TOKEN_MODE",schemaPath:"#/properties/AUTH_TOKEN_MODE/convert",keyword:"convert",params:{},message:result39.problem};
if(vErrors === null){
vErrors = [err39];
}
else {
vErrors.push(err39);
}
errors++;
}
else {
data["AUTH_TOKEN_MODE"] = result39.value;
}
const result40 = func2(data.AUTH_RECONNECT_GRACE, schema11.properties.AUTH_RECONNECT_GRACE.convert);
if(result40.problem !== undefined){
const err40 = {instancePath:instancePath+"/AUTH_RECONNECT_GRACE",schemaPath:"#/properties/AUTH_RECONNECT_GRACE/convert",keyword:"convert",params:{},message:result40.problem};
if(vErrors === null){
vErrors = [err40];
}
else {
vErrors.push(err40);
}
errors++;
}
else {
data["AUTH_RECONNECT_GRACE"] = result40.value;
}
const result41 = func2(data.AUTH_ALLOW_QUERY_TOKEN, schema11.properties.AUTH_ALLOW_QUERY_TOKEN.convert);
if(result41.problem !== undefined){
const err41 = {instancePath:instancePath+"/AUTH_ALLOW_QUERY_TOKEN",schemaPath:"#/properties/AUTH_ALLOW_QUERY_TOKEN/convert",keyword:"convert",params:{},message:result41.problem};
if(vErrors === null){
vErrors = [err41];
}
else {
vErrors.push(err41);
}
errors++;
}
else {
data["AUTH_ALLOW_QUERY_TOKEN"] = result41.value;
}
const result42 = func2(data.ALLOWED_ORIGINS, schema11.properties.ALLOWED_ORIGINS.convert);
if(result42.problem !== undefined){
const err42 = {instancePath:instancePath+"/ALLOWED_ORIGINS",schemaPath:"#/properties/ALLOWED_ORIGINS/convert",keyword:"convert",params:{},message:result42.problem};
if(vErrors === null){
vErrors = [err42];
}
else {
vErrors.push(err42);
}
errors++;
}
else {
data["ALLOWED_ORIGINS"] = result42.value;
}
const result43 = func2(data.REQUIRE_ORIGIN, schema11.properties.REQUIRE_ORIGIN.convert);
if(result43.problem !== undefined){
const err43 = {instancePath:instancePath+"/REQUIRE_ORIGIN",schemaPath:"#/properties/REQUIRE_ORIGIN/convert",keyword:"convert",params:{},message:result43.problem};
if(vErrors === null){
vErrors = [err43];
}
else {
vErrors.push(err43);
}
errors++;
}
else {
data["REQUIRE_ORIGIN"] = result43.value;
}
if(data.AUTH_JWT_SECRET !== undefined){
const result44 = func2(data.AUTH_JWT_SECRET, schema11.properties.AUTH_JWT_SECRET.convert);
if(result44.problem !== undefined){
const err44 = {instancePath:instancePath+"/AUTH_JWT_SECRET",schemaPath:"#/properties/AUTH_JWT_SECRET/convert",keyword:"convert",params:{},message:result44.problem};
if(vErrors === null){
vErrors = [err44];
}
else {
vErrors.push(err44);
}
errors++;
}
else {
data["AUTH_JWT_SECRET"] = result44.value;
}
}
if(data.AUTH_JWKS_FILE !== undefined){
const result45 = func2(data.AUTH_JWKS_FILE, schema11.properties.AUTH_JWKS_FILE.convert);
if(result45.problem !== undefined){
const err45 = {instancePath:instancePath+"/AUTH_JWKS_FILE",schemaPath:"#/properties/AUTH_JWKS_FILE/convert",keyword:"convert",params:{},message:result45.problem};
if(vErrors === null){
vErrors = [err45];
}
else {
vErrors.push(err45);
}
errors++;
}
else {
data["AUTH_JWKS_FILE"] = result45.value;
}
}
if(data.AUTH_JWKS_URL !== undefined){
const result46 = func2(data.AUTH_JWKS_URL, schema11.properties.AUTH_JWKS_URL.convert);
if(result46.problem !== undefined){
const err46 = {instancePath:instancePath+"/AUTH_JWKS_URL",schemaPath:"#/properties/AUTH_JWKS_URL/convert",keyword:"convert",params:{},message:result46.problem};
if(vErrors === null){
vErrors = [err46];
}
else {
vErrors.push(err46);
}
errors++;
}
else {
data["AUTH_JWKS_URL"] = result46.value;
}
}
const result47 = func2(data.AUTH_JWKS_MAX_AGE, schema11.properties.AUTH_JWKS_MAX_AGE.convert);
if(result47.problem !== undefined){
const err47 = {instancePath:instancePath+"/AUTH_JWKS_MAX_AGE",schemaPath:"#/properties/AUTH_JWKS_MAX_AGE/convert",keyword:"convert",params:{},message:result47.problem};
if(vErrors === null){
vErrors = [err47];
}
else {
vErrors.push(err47);
}
errors++;
}
else {
data["AUTH_JWKS_MAX_AGE"] = result47.value;
}
const result48 = func2(data.AUTH_JWKS_COOLDOWN, schema11.properties.AUTH_JWKS_COOLDOWN.convert);
if(result48.problem !== undefined){
const err48 = {instancePath:instancePath+"/AUTH_JWKS_COOLDOWN",schemaPath:"#/properties/AUTH_JWKS_COOLDOWN/convert",keyword:"convert",params:{},message:result48.problem};
if(vErrors === null){
vErrors = [err48];
}
else {
vErrors.push(err48);
}
errors++;
}
else {
data["AUTH_JWKS_COOLDOWN"] = result48.value;
}
const result49 = func2(data.AUTH_JWKS_STALE, schema11.properties.AUTH_JWKS_STALE.convert);
if(result49.problem !== undefined){
const err49 = {instancePath:instancePath+"/AUTH_JWKS_STALE",schemaPath:"#/properties/AUTH_JWKS_STALE/convert",keyword:"convert",params:{},message:result49.problem};
if(vErrors === null){
vErrors = [err49];
}
else {
vErrors.push(err49);
}
errors++;
}
else {
data["AUTH_JWKS_STALE"] = result49.value;
}
const result50 = func2(data.AUTH_JWT_AUDIENCE, schema11.properties.AUTH_JWT_AUDIENCE.convert);
if(result50.problem !== undefined){
const err50 = {instancePath:instancePath+"/AUTH_JWT_AUDIENCE",schemaPath:"#/properties/AUTH_JWT_AUDIENCE/convert",keyword:"convert",params:{},message:result50.problem};
if(vErrors === null){
vErrors = [err50];
}
else {
vErrors.push(err50);
}
errors++;
}
else {
data["AUTH_JWT_AUDIENCE"] = result50.value;
}
const result51 = func2(data.AUTH_JWT_ISSUER, schema11.properties.AUTH_JWT_ISSUER.convert);
if(result51.problem !== undefined){
const err51 = {instancePath:instancePath+"/AUTH_JWT_ISSUER",schemaPath:"#/properties/AUTH_JWT_ISSUER/convert",keyword:"convert",params:{},message:result51.problem};
if(vErrors === null){
vErrors = [err51];
}
else {
vErrors.push(err51);
}
errors++;
}
else {
data["AUTH_JWT_ISSUER"] = result51.value;
}
if(data.AUTH_JWT_ROLE_CLAIM !== undefined){
const result52 = func2(data.AUTH_JWT_ROLE_CLAIM, schema11.properties.AUTH_JWT_ROLE_CLAIM.convert);
if(result52.problem !== undefined){
const err52 = {instancePath:instancePath+"/AUTH_JWT_ROLE_CLAIM",schemaPath:"#/properties/AUTH_JWT_ROLE_CLAIM/convert",keyword:"convert",params:{},message:result52.problem};
if(vErrors === null){
vErrors = [err52];
}
else {
vErrors.push(err52);
}
errors++;
}
else {
data["AUTH_JWT_ROLE_CLAIM"] = result52.value;
}
}
const result53 = func2(data.AUTH_JWT_SKEW, schema11.properties.AUTH_JWT_SKEW.convert);
if(result53.problem !== undefined){
const err53 = {instancePath:instancePath+"/AUTH_JWT_SKEW",schemaPath:"#/properties/AUTH_JWT_SKEW/convert",keyword:"convert",params:{},message:result53.problem};
if(vErrors === null){
vErrors = [err53];
}
else {
vErrors.push(err53);
}
errors++;
}
else {
data["AUTH_JWT_SKEW"] = result53.value;
}
const result54 = func2(data.AUTH_JWT_MAX_LIFETIME, schema11.properties.AUTH_JWT_MAX_LIFETIME.convert);
if(result54.problem !== undefined){
const err54 = {instancePath:instancePath+"/AUTH_JWT_MAX_LIFETIME",schemaPath:"#/properties/AUTH_JWT_MAX_LIFETIME/convert",keyword:"convert",params:{},message:result54.problem};
if(vErrors === null){
vErrors = [err54];
}
else {
vErrors.push(err54);
}
errors++;
}
else {
data["AUTH_JWT_MAX_LIFETIME"] = result54.value;
}
const result55 = func2(data.AUTH_REVOKED_MAX, schema11.properties.AUTH_REVOKED_MAX.convert);
if(result55.problem !== undefined){
const err55 = {instancePath:instancePath+"/AUTH_REVOKED_MAX",schemaPath:"#/properties/AUTH_REVOKED_MAX/convert",keyword:"convert",params:{},message:result55.problem};
if(vErrors === null){
vErrors = [err55];
}
else {
vErrors.push(err55);
}
errors++;
}
else {
data["AUTH_REVOKED_MAX"] = result55.value;
}
const result56 = func2(data.AUTH_REMOVED_KEY_GRACE, schema11.properties.AUTH_REMOVED_KEY_GRACE.convert);
if(result56.problem !== undefined){
const err56 = {instancePath:instancePath+"/AUTH_REMOVED_KEY_GRACE",schemaPath:"#/properties/AUTH_REMOVED_KEY_GRACE/convert",keyword:"convert",params:{},message:result56.problem};
if(vErrors === null){
vErrors = [err56];
}
else {
vErrors.push(err56);
}
errors++;
}
else {
data["AUTH_REMOVED_KEY_GRACE"] = result56.value;
}
const result57 = func2(data.AUTH_EXPIRY_NOTICE, schema11.properties.AUTH_EXPIRY_NOTICE.convert);
if(result57.problem !== undefined){
const err57 = {instancePath:instancePath+"/AUTH_EXPIRY_NOTICE",schemaPath:"#/properties/AUTH_EXPIRY_NOTICE/convert",keyword:"convert",params:{},message:result57.problem};
if(vErrors === null){
vErrors = [err57];
}
else {
vErrors.push(err57);
}
errors++;
}
else {
data["AUTH_EXPIRY_NOTICE"] = result57.value;
}
const result58 = func2(data.AUTH_LOGIN, schema11.properties.AUTH_LOGIN.convert);
if(result58.problem !== undefined){
const err58 = {instancePath:instancePath+"/AUTH_LOGIN",schemaPath:"#/properties/AUTH_LOGIN/convert",keyword:"convert",params:{},message:result58.problem};
if(vErrors === null){
vErrors = [err58];
}
else {
vErrors.push(err58);
}
errors++;
}
else {
data["AUTH_LOGIN"] = result58.value;
}
const result59 = func2(data.AUTH_ACCESS_TTL, schema11.properties.AUTH_ACCESS_TTL.convert);
if(result59.problem !== undefined){
const err59 = {instancePath:instancePath+"/AUTH_ACCESS_TTL",schemaPath:"#/properties/AUTH_ACCESS_TTL/convert",keyword:"convert",params:{},message:result59.problem};
if(vErrors === null){
vErrors = [err59];
}
else {
vErrors.push(err59);
}
errors++;
}
else {
data["AUTH_ACCESS_TTL"] = result59.value;
}
const result60 = func2(data.AUTH_REFRESH_TTL, schema11.properties.AUTH_REFRESH_TTL.convert);
if(result60.problem !== undefined){
const err60 = {instancePath:instancePath+"/AUTH_REFRESH_TTL",schemaPath:"#/properties/AUTH_REFRESH_TTL/convert",keyword:"convert",params:{},message:result60.problem};
if(vErrors === null){
vErrors = [err60];
}
else {
vErrors.push(err60);
}
errors++;
}
else {
data["AUTH_REFRESH_TTL"] = result60.value;
}
if(data.DEFAULT_ADMIN_EMAIL !== undefined){
const result61 = func2(data.DEFAULT_ADMIN_EMAIL, schema11.properties.DEFAULT_ADMIN_EMAIL.convert);
if(result61.problem !== undefined){
const err61 = {instancePath:instancePath+"/DEFAULT_ADMIN_EMAIL",schemaPath:"#/properties/DEFAULT_ADMIN_EMAIL/convert",keyword:"convert",params:{},message:result61.problem};
if(vErrors === null){
vErrors = [err61];
}
else {
vErrors.push(err61);
}
errors++;
}
else {
data["DEFAULT_ADMIN_EMAIL"] = result61.value;
}
}
if(data.DEFAULT_ADMIN_PASSWORD !== undefined){
const result62 = func2(data.DEFAULT_ADMIN_PASSWORD, schema11.properties.DEFAULT_ADMIN_PASSWORD.convert);
if(result62.problem !== undefined){
const err62 = {instancePath:instancePath+"/DEFAULT_ADMIN_PASSWORD",schemaPath:"#/properties/DEFAULT_ADMIN_PASSWORD/convert",keyword:"convert",params:{},message:result62.problem};
if(vErrors === null){
vErrors = [err62];
}
else {
vErrors.push(err62);
}
errors++;
}
else {
data["DEFAULT_ADMIN_PASSWORD"] = result62.value;
}
}
if(data.MAX_CONNECTIONS !== undefined){
const result63 = func2(data.MAX_CONNECTIONS, schema11.properties.MAX_CONNECTIONS.convert);
if(result63.problem !== undefined){
const err63 = {instancePath:instancePath+"/MAX_CONNECTIONS",schemaPath:"#/properties/MAX_CONNECTIONS/convert",keyword:"convert",params:{},message:result63.problem};
if(vErrors === null){
vErrors = [err63];
}
else {
vErrors.push(err63);
}
errors++;
}
else {
data["MAX_CONNECTIONS"] = result63.value;
}
}
if(data.RESERVED_CONNECTIONS !== undefined){
const result64 = func2(data.RESERVED_CONNECTIONS, schema11.properties.RESERVED_CONNECTIONS.convert);
if(result64.problem !== undefined){
const err64 = {instancePath:instancePath+"/RESERVED_CONNECTIONS",schemaPath:"#/properties/RESERVED_CONNECTIONS/convert",keyword:"convert",params:{},message:result64.problem};
if(vErrors === null){
vErrors = [err64];
}
else {
vErrors.push(err64);
}
errors++;
}
else {
data["RESERVED_CONNECTIONS"] = result64.value;
}
}
const result65 = func2(data.MAX_CONNECTIONS_PER_IP, schema11.properties.MAX_CONNECTIONS_PER_IP.convert);
if(result65.problem !== undefined){
const err65 = {instancePath:instancePath+"/MAX_CONNECTIONS_PER_IP",schemaPath:"#/properties/MAX_CONNECTIONS_PER_IP/convert",keyword:"convert",params:{},message:result65.problem};
if(vErrors === null){
vErrors = [err65];
}
else {
vErrors.push(err65);
}
errors++;
}
else {
data["MAX_CONNECTIONS_PER_IP"] = result65.value;
}
const result66 = func2(data.CONNECT_RATE, schema11.properties.CONNECT_RATE.convert);
if(result66.problem !== undefined){
const err66 = {instancePath:instancePath+"/CONNECT_RATE",schemaPath:"#/properties/CONNECT_RATE/convert",keyword:"convert",params:{},message:result66.problem};
if(vErrors === null){
vErrors = [err66];
}
else {
vErrors.push(err66);
}
errors++;
}
else {
data["CONNECT_RATE"] = result66.value;
}
const result67 = func2(data.CONNECT_RATE_PER_IP, schema11.properties.CONNECT_RATE_PER_IP.convert);
if(result67.problem !== undefined){
const err67 = {instancePath:instancePath+"/CONNECT_RATE_PER_IP",schemaPath:"#/properties/CONNECT_RATE_PER_IP/convert",keyword:"convert",params:{},message:result67.problem};
if(vErrors === null){
vErrors = [err67];
}
else {
vErrors.push(err67);
}
errors++;
}
else {
data["CONNECT_RATE_PER_IP"] = result67.value;
}
const result68 = func2(data.REFUSED_RATE_PER_IP, schema11.properties.REFUSED_RATE_PER_IP.convert);
if(result68.problem !== undefined){
const err68 = {instancePath:instancePath+"/REFUSED_RATE_PER_IP",schemaPath:"#/properties/REFUSED_RATE_PER_IP/convert",keyword:"convert",params:{},message:result68.problem};
if(vErrors === null){
vErrors = [err68];
}
else {
vErrors.push(err68);
}
errors++;
}
else {
data["REFUSED_RATE_PER_IP"] = result68.value;
}
const result69 = func2(data.REFUSED_OPEN_MAX, schema11.properties.REFUSED_OPEN_MAX.convert);
if(result69.problem !== undefined){
const err69 = {instancePath:instancePath+"/REFUSED_OPEN_MAX",schemaPath:"#/properties/REFUSED_OPEN_MAX/convert",keyword:"convert",params:{},message:result69.problem};
if(vErrors === null){
vErrors = [err69];
}
else {
vErrors.push(err69);
}
errors++;
}
else {
data["REFUSED_OPEN_MAX"] = result69.value;
}
if(data.MAX_MESSAGE_SIZE !== undefined){
const result70 = func2(data.MAX_MESSAGE_SIZE, schema11.properties.MAX_MESSAGE_SIZE.convert);
if(result70.problem !== undefined){
const err70 = {instancePath:instancePath+"/MAX_MESSAGE_SIZE",schemaPath:"#/properties/MAX_MESSAGE_SIZE/convert",keyword:"convert",params:{},message:result70.problem};
if(vErrors === null){
vErrors = [err70];
}
else {
vErrors.push(err70);
}
errors++;
}
else {
data["MAX_MESSAGE_SIZE"] = result70.value;
}
}
const result71 = func2(data.JSON_MAX_DEPTH, schema11.properties.JSON_MAX_DEPTH.convert);
if(result71.problem !== undefined){
const err71 = {instancePath:instancePath+"/JSON_MAX_DEPTH",schemaPath:"#/properties/JSON_MAX_DEPTH/convert",keyword:"convert",params:{},message:result71.problem};
if(vErrors === null){
vErrors = [err71];
}
else {
vErrors.push(err71);
}
errors++;
}
else {
data["JSON_MAX_DEPTH"] = result71.value;
}
const result72 = func2(data.MAX_BUFFER_SIZE_BYTES, schema11.properties.MAX_BUFFER_SIZE_BYTES.convert);
if(result72.problem !== undefined){
const err72 = {instancePath:instancePath+"/MAX_BUFFER_SIZE_BYTES",schemaPath:"#/properties/MAX_BUFFER_SIZE_BYTES/convert",keyword:"convert",params:{},message:result72.problem};
if(vErrors === null){
vErrors = [err72];
}
else {
vErrors.push(err72);
}
errors++;
}
else {
data["MAX_BUFFER_SIZE_BYTES"] = result72.value;
}
const result73 = func2(data.MAX_DOWN_MESSAGE_BYTES, schema11.properties.MAX_DOWN_MESSAGE_BYTES.convert);
if(result73.problem !== undefined){
const err73 = {instancePath:instancePath+"/MAX_DOWN_MESSAGE_BYTES",schemaPath:"#/properties/MAX_DOWN_MESSAGE_BYTES/convert",keyword:"convert",params:{},message:result73.problem};
if(vErrors === null){
vErrors = [err73];
}
else {
vErrors.push(err73);
}
errors++;
}
else {
data["MAX_DOWN_MESSAGE_BYTES"] = result73.value;
}
if(data.MAX_BUFFERED_BYTES !== undefined){
const result74 = func2(data.MAX_BUFFERED_BYTES, schema11.properties.MAX_BUFFERED_BYTES.convert);
if(result74.problem !== undefined){
const err74 = {instancePath:instancePath+"/MAX_BUFFERED_BYTES",schemaPath:"#/properties/MAX_BUFFERED_BYTES/convert",keyword:"convert",params:{},message:result74.problem};
if(vErrors === null){
vErrors = [err74];
}
else {
vErrors.push(err74);
}
errors++;
}
else {
data["MAX_BUFFERED_BYTES"] = result74.value;
}
}
const result75 = func2(data.UPSTREAM_BUFFER_MESSAGES, schema11.properties.UPSTREAM_BUFFER_MESSAGES.convert);
if(result75.problem !== undefined){
const err75 = {instancePath:instancePath+"/UPSTREAM_BUFFER_MESSAGES",schemaPath:"#/properties/UPSTREAM_BUFFER_MESSAGES/convert",keyword:"convert",params:{},message:result75.problem};
if(vErrors === null){
vErrors = [err75];
}
else {
vErrors.push(err75);
}
errors++;
}
else {
data["UPSTREAM_BUFFER_MESSAGES"] = result75.value;
}
const result76 = func2(data.UPSTREAM_BUFFER_BYTES, schema11.properties.UPSTREAM_BUFFER_BYTES.convert);
if(result76.problem !== undefined){
const err76 = {instancePath:instancePath+"/UPSTREAM_BUFFER_BYTES",schemaPath:"#/properties/UPSTREAM_BUFFER_BYTES/convert",keyword:"convert",params:{},message:result76.problem};
if(vErrors === null){
vErrors = [err76];
}
else {
vErrors.push(err76);
}
errors++;
}
else {
data["UPSTREAM_BUFFER_BYTES"] = result76.value;
}
const result77 = func2(data.PING_INTERVAL, schema11.properties.PING_INTERVAL.convert);
if(result77.problem !== undefined){
const err77 = {instancePath:instancePath+"/PING_INTERVAL",schemaPath:"#/properties/PING_INTERVAL/convert",keyword:"convert",params:{},message:result77.problem};
if(vErrors === null){
vErrors = [err77];
}
else {
vErrors.push(err77);
}
errors++;
}
else {
data["PING_INTERVAL"] = result77.value;
}
const result78 = func2(data.PONG_TIMEOUT, schema11.properties.PONG_TIMEOUT.convert);
if(result78.problem !== undefined){
const err78 = {instancePath:instancePath+"/PONG_TIMEOUT",schemaPath:"#/properties/PONG_TIMEOUT/convert",keyword:"convert",params:{},message:result78.problem};
if(vErrors === null){
vErrors = [err78];
}
else {
vErrors.push(err78);
}
errors++;
}
else {
data["PONG_TIMEOUT"] = result78.value;
}
const result79 = func2(data.SLOW_CLOSE_GRACE, schema11.properties.SLOW_CLOSE_GRACE.convert);
if(result79.problem !== undefined){
const err79 = {instancePath:instancePath+"/SLOW_CLOSE_GRACE",schemaPath:"#/properties/SLOW_CLOSE_GRACE/convert",keyword:"convert",params:{},message:result79.problem};
if(vErrors === null){
vErrors = [err79];
}
else {
vErrors.push(err79);
}
errors++;
}
else {
data["SLOW_CLOSE_GRACE"] = result79.value;
}
const result80 = func2(data.SHUTDOWN_GRACE_PERIOD, schema11.properties.SHUTDOWN_GRACE_PERIOD.convert);
if(result80.problem !== undefined){
const err80 = {instancePath:instancePath+"/SHUTDOWN_GRACE_PERIOD",schemaPath:"#/properties/SHUTDOWN_GRACE_PERIOD/convert",keyword:"convert",params:{},message:result80.problem};
if(vErrors === null){
vErrors = [err80];
}
else {
vErrors.push(err80);
}
errors++;
}
else {
data["SHUTDOWN_GRACE_PERIOD"] = result80.value;
}
const result81 = func2(data.DRAIN_WINDOW, schema11.properties.DRAIN_WINDOW.convert);
if(result81.problem !== undefined){
const err81 = {instancePath:instancePath+"/DRAIN_WINDOW",schemaPath:"#/properties/DRAIN_WINDOW/convert",keyword:"convert",params:{},message:result81.problem};
if(vErrors === null){
vErrors = [err81];
}
else {
vErrors.push(err81);
}
errors++;
}
else {
data["DRAIN_WINDOW"] = result81.value;
}
const result82 = func2(data.DRAIN_DELAY, schema11.properties.DRAIN_DELAY.convert);
if(result82.problem !== undefined){
const err82 = {instancePath:instancePath+"/DRAIN_DELAY",schemaPath:"#/properties/DRAIN_DELAY/convert",keyword:"convert",params:{},message:result82.problem};
if(vErrors === null){
vErrors = [err82];
}
else {
vErrors.push(err82);
}
errors++;
}
else {
data["DRAIN_DELAY"] = result82.value;
}
const result83 = func2(data.SESSION_UPSTREAM, schema11.properties.SESSION_UPSTREAM.convert);
if(result83.problem !== undefined){
const err83 = {instancePath:instancePath+"/SESSION_UPSTREAM",schemaPath:"#/properties/SESSION_UPSTREAM/convert",keyword:"convert",params:{},message:result83.problem};
if(vErrors === null){
vErrors = [err83];
}
else {
vErrors.push(err83);
}
errors++;
}
else {
data["SESSION_UPSTREAM"] = result83.value;
}
const result84 = func2(data.SESSION_BINARY, schema11.properties.SESSION_BINARY.convert);
if(result84.problem !== undefined){
const err84 = {instancePath:instancePath+"/SESSION_BINARY",schemaPath:"#/properties/SESSION_BINARY/convert",keyword:"convert",params:{},message:result84.problem};
if(vErrors === null){
vErrors = [err84];
}
else {
vErrors.push(err84);
}
errors++;
}
else {
data["SESSION_BINARY"] = result84.value;
}
const result85 = func2(data.SESSION_REFUSE, schema11.properties.SESSION_REFUSE.convert);
if(result85.problem !== undefined){
const err85 = {instancePath:instancePath+"/SESSION_REFUSE",schemaPath:"#/properties/SESSION_REFUSE/convert",keyword:"convert",params:{},message:result85.problem};
if(vErrors === null){
vErrors = [err85];
}
else {
vErrors.push(err85);
}
errors++;
}
else {
data["SESSION_REFUSE"] = result85.value;
}
const result86 = func2(data.SESSION_FLOW_SIGNAL, schema11.properties.SESSION_FLOW_SIGNAL.convert);
if(result86.problem !== undefined){
const err86 = {instancePath:instancePath+"/SESSION_FLOW_SIGNAL",schemaPath:"#/properties/SESSION_FLOW_SIGNAL/convert",keyword:"convert",params:{},message:result86.problem};
if(vErrors === null){
vErrors = [err86];
}
else {
vErrors.push(err86);
}
errors++;
}
else {
data["SESSION_FLOW_SIGNAL"] = result86.value;
}
const result87 = func2(data.SESSION_RATE, schema11.properties.SESSION_RATE.convert);
if(result87.problem !== undefined){
const err87 = {instancePath:instancePath+"/SESSION_RATE",schemaPath:"#/properties/SESSION_RATE/convert",keyword:"convert",params:{},message:result87.problem};
if(vErrors === null){
vErrors = [err87];
}
else {
vErrors.push(err87);
}
errors++;
}
else {
data["SESSION_RATE"] = result87.value;
}
const result88 = func2(data.SESSION_RATE_BURST, schema11.properties.SESSION_RATE_BURST.convert);
if(result88.problem !== undefined){
const err88 = {instancePath:instancePath+"/SESSION_RATE_BURST",schemaPath:"#/properties/SESSION_RATE_BURST/convert",keyword:"convert",params:{},message:result88.problem};
if(vErrors === null){
vErrors = [err88];
}
else {
vErrors.push(err88);
}
errors++;
}
else {
data["SESSION_RATE_BURST"] = result88.value;
}
const result89 = func2(data.SESSION_BYTE_RATE, schema11.properties.SESSION_BYTE_RATE.convert);
if(result89.problem !== undefined){
const err89 = {instancePath:instancePath+"/SESSION_BYTE_RATE",schemaPath:"#/properties/SESSION_BYTE_RATE/convert",keyword:"convert",params:{},message:result89.problem};
if(vErrors === null){
vErrors = [err89];
}
else {
vErrors.push(err89);
}
errors++;
}
else {
data["SESSION_BYTE_RATE"] = result89.value;
}
const result90 = func2(data.SESSION_RESUME_PAGE, schema11.properties.SESSION_RESUME_PAGE.convert);
if(result90.problem !== undefined){
const err90 = {instancePath:instancePath+"/SESSION_RESUME_PAGE",schemaPath:"#/properties/SESSION_RESUME_PAGE/convert",keyword:"convert",params:{},message:result90.problem};
if(vErrors === null){
vErrors = [err90];
}
else {
vErrors.push(err90);
}
errors++;
}
else {
data["SESSION_RESUME_PAGE"] = result90.value;
}
const result91 = func2(data.RESUME_TICKET_TTL, schema11.properties.RESUME_TICKET_TTL.convert);
if(result91.problem !== undefined){
const err91 = {instancePath:instancePath+"/RESUME_TICKET_TTL",schemaPath:"#/properties/RESUME_TICKET_TTL/convert",keyword:"convert",params:{},message:result91.problem};
if(vErrors === null){
vErrors = [err91];
}
else {
vErrors.push(err91);
}
errors++;
}
else {
data["RESUME_TICKET_TTL"] = result91.value;
}
const result92 = func2(data.RESUME_MAX_LIFETIME, schema11.properties.RESUME_MAX_LIFETIME.convert);
if(result92.problem !== undefined){
const err92 = {instancePath:instancePath+"/RESUME_MAX_LIFETIME",schemaPath:"#/properties/RESUME_MAX_LIFETIME/convert",keyword:"convert",params:{},message:result92.problem};
if(vErrors === null){
vErrors = [err92];
}
else {
vErrors.push(err92);
}
errors++;
}
else {
data["RESUME_MAX_LIFETIME"] = result92.value;
}
const result93 = func2(data.HTTP_STREAMS, schema11.properties.HTTP_STREAMS.convert);
if(result93.problem !== undefined){
const err93 = {instancePath:instancePath+"/HTTP_STREAMS",schemaPath:"#/properties/HTTP_STREAMS/convert",keyword:"convert",params:{},message:result93.problem};
if(vErrors === null){
vErrors = [err93];
}
else {
vErrors.push(err93);
}
errors++;
}
else {
data["HTTP_STREAMS"] = result93.value;
}
const result94 = func2(data.SSE_PING, schema11.properties.SSE_PING.convert);
if(result94.problem !== undefined){
const err94 = {instancePath:instancePath+"/SSE_PING",schemaPath:"#/properties/SSE_PING/convert",keyword:"convert",params:{},message:result94.problem};
if(vErrors === null){
vErrors = [err94];
}
else {
vErrors.push(err94);
}
errors++;
}
else {
data["SSE_PING"] = result94.value;
}
const result95 = func2(data.SSE_PING_INTERVAL, schema11.properties.SSE_PING_INTERVAL.convert);
if(result95.problem !== undefined){
const err95 = {instancePath:instancePath+"/SSE_PING_INTERVAL",schemaPath:"#/properties/SSE_PING_INTERVAL/convert",keyword:"convert",params:{},message:result95.problem};
if(vErrors === null){
vErrors = [err95];
}
else {
vErrors.push(err95);
}
errors++;
}
else {
data["SSE_PING_INTERVAL"] = result95.value;
}
const result96 = func2(data.SSE_MAX_LIFETIME, schema11.properties.SSE_MAX_LIFETIME.convert);
if(result96.problem !== undefined){
const err96 = {instancePath:instancePath+"/SSE_MAX_LIFETIME",schemaPath:"#/properties/SSE_MAX_LIFETIME/convert",keyword:"convert",params:{},message:result96.problem};
if(vErrors === null){
vErrors = [err96];
}
else {
vErrors.push(err96);
}
errors++;
}
else {
data["SSE_MAX_LIFETIME"] = result96.value;
}
const result97 = func2(data.SSE_TICKET_TTL, schema11.properties.SSE_TICKET_TTL.convert);
if(result97.problem !== undefined){
const err97 = {instancePath:instancePath+"/SSE_TICKET_TTL",schemaPath:"#/properties/SSE_TICKET_TTL/convert",keyword:"convert",params:{},message:result97.problem};
if(vErrors === null){
vErrors = [err97];
}
else {
vErrors.push(err97);
}
errors++;
}
else {
data["SSE_TICKET_TTL"] = result97.value;
}
if(data.SESSION_LOG_INSTALL !== undefined){
const result98 = func2(data.SESSION_LOG_INSTALL, schema11.properties.SESSION_LOG_INSTALL.convert);
if(result98.problem !== undefined){
const err98 = {instancePath:instancePath+"/SESSION_LOG_INSTALL",schemaPath:"#/properties/SESSION_LOG_INSTALL/convert",keyword:"convert",params:{},message:result98.problem};
if(vErrors === null){
vErrors = [err98];
}
else {
vErrors.push(err98);
}
errors++;
}
else {
data["SESSION_LOG_INSTALL"] = result98.value;
}
}
const result99 = func2(data.SESSION_IDLE_TIMEOUT, schema11.properties.SESSION_IDLE_TIMEOUT.convert);
if(result99.problem !== undefined){
const err99 = {instancePath:instancePath+"/SESSION_IDLE_TIMEOUT",schemaPath:"#/properties/SESSION_IDLE_TIMEOUT/convert",keyword:"convert",params:{},message:result99.problem};
if(vErrors === null){
vErrors = [err99];
}
else {
vErrors.push(err99);
}
errors++;
}
else {
data["SESSION_IDLE_TIMEOUT"] = result99.value;
}
const result100 = func2(data.STREAM_END_TIMEOUT, schema11.properties.STREAM_END_TIMEOUT.convert);
if(result100.problem !== undefined){
const err100 = {instancePath:instancePath+"/STREAM_END_TIMEOUT",schemaPath:"#/properties/STREAM_END_TIMEOUT/convert",keyword:"convert",params:{},message:result100.problem};
if(vErrors === null){
vErrors = [err100];
}
else {
vErrors.push(err100);
}
errors++;
}
else {
data["STREAM_END_TIMEOUT"] = result100.value;
}
const result101 = func2(data.STREAM_APPEND, schema11.properties.STREAM_APPEND.convert);
if(result101.problem !== undefined){
const err101 = {instancePath:instancePath+"/STREAM_APPEND",schemaPath:"#/properties/STREAM_APPEND/convert",keyword:"convert",params:{},message:result101.problem};
if(vErrors === null){
vErrors = [err101];
}
else {
vErrors.push(err101);
}
errors++;
}
else {
data["STREAM_APPEND"] = result101.value;
}
const result102 = func2(data.STREAM_MAX_BODY, schema11.properties.STREAM_MAX_BODY.convert);
if(result102.problem !== undefined){
const err102 = {instancePath:instancePath+"/STREAM_MAX_BODY",schemaPath:"#/properties/STREAM_MAX_BODY/convert",keyword:"convert",params:{},message:result102.problem};
if(vErrors === null){
vErrors = [err102];
}
else {
vErrors.push(err102);
}
errors++;
}
else {
data["STREAM_MAX_BODY"] = result102.value;
}
const result103 = func2(data.STREAM_POLL_TIMEOUT, schema11.properties.STREAM_POLL_TIMEOUT.convert);
if(result103.problem !== undefined){
const err103 = {instancePath:instancePath+"/STREAM_POLL_TIMEOUT",schemaPath:"#/properties/STREAM_POLL_TIMEOUT/convert",keyword:"convert",params:{},message:result103.problem};
if(vErrors === null){
vErrors = [err103];
}
else {
vErrors.push(err103);
}
errors++;
}
else {
data["STREAM_POLL_TIMEOUT"] = result103.value;
}
const result104 = func2(data.RUN_DOOR, schema11.properties.RUN_DOOR.convert);
if(result104.problem !== undefined){
const err104 = {instancePath:instancePath+"/RUN_DOOR",schemaPath:"#/properties/RUN_DOOR/convert",keyword:"convert",params:{},message:result104.problem};
if(vErrors === null){
vErrors = [err104];
}
else {
vErrors.push(err104);
}
errors++;
}
else {
data["RUN_DOOR"] = result104.value;
}
const result105 = func2(data.RUN_PATH, schema11.properties.RUN_PATH.convert);
if(result105.problem !== undefined){
const err105 = {instancePath:instancePath+"/RUN_PATH",schemaPath:"#/properties/RUN_PATH/convert",keyword:"convert",params:{},message:result105.problem};
if(vErrors === null){
vErrors = [err105];
}
else {
vErrors.push(err105);
}
errors++;
}
else {
data["RUN_PATH"] = result105.value;
}
const result106 = func2(data.RUN_AUTH, schema11.properties.RUN_AUTH.convert);
if(result106.problem !== undefined){
const err106 = {instancePath:instancePath+"/RUN_AUTH",schemaPath:"#/properties/RUN_AUTH/convert",keyword:"convert",params:{},message:result106.problem};
if(vErrors === null){
vErrors = [err106];
}
else {
vErrors.push(err106);
}
errors++;
}
else {
data["RUN_AUTH"] = result106.value;
}
const result107 = func2(data.RUN_REFUSE, schema11.properties.RUN_REFUSE.convert);
if(result107.problem !== undefined){
const err107 = {instancePath:instancePath+"/RUN_REFUSE",schemaPath:"#/properties/RUN_REFUSE/convert",keyword:"convert",params:{},message:result107.problem};
if(vErrors === null){
vErrors = [err107];
}
else {
vErrors.push(err107);
}
errors++;
}
else {
data["RUN_REFUSE"] = result107.value;
}
const result108 = func2(data.RUN_KEY_PREFIX, schema11.properties.RUN_KEY_PREFIX.convert);
if(result108.problem !== undefined){
const err108 = {instancePath:instancePath+"/RUN_KEY_PREFIX",schemaPath:"#/properties/RUN_KEY_PREFIX/convert",keyword:"convert",params:{},message:result108.problem};
if(vErrors === null){
vErrors = [err108];
}
else {
vErrors.push(err108);
}
errors++;
}
else {
data["RUN_KEY_PREFIX"] = result108.value;
}
const result109 = func2(data.RUN_PING_INTERVAL, schema11.properties.RUN_PING_INTERVAL.convert);
if(result109.problem !== undefined){
const err109 = {instancePath:instancePath+"/RUN_PING_INTERVAL",schemaPath:"#/properties/RUN_PING_INTERVAL/convert",keyword:"convert",params:{},message:result109.problem};
if(vErrors === null){
vErrors = [err109];
}
else {
vErrors.push(err109);
}
errors++;
}
else {
data["RUN_PING_INTERVAL"] = result109.value;
}
const result110 = func2(data.RUN_PONG_TIMEOUT, schema11.properties.RUN_PONG_TIMEOUT.convert);
if(result110.problem !== undefined){
const err110 = {instancePath:instancePath+"/RUN_PONG_TIMEOUT",schemaPath:"#/properties/RUN_PONG_TIMEOUT/convert",keyword:"convert",params:{},message:result110.problem};
if(vErrors === null){
vErrors = [err110];
}
else {
vErrors.push(err110);
}
errors++;
}
else {
data["RUN_PONG_TIMEOUT"] = result110.value;
}
const result111 = func2(data.RUN_RESYNC_INTERVAL, schema11.properties.RUN_RESYNC_INTERVAL.convert);
if(result111.problem !== undefined){
const err111 = {instancePath:instancePath+"/RUN_RESYNC_INTERVAL",schemaPath:"#/properties/RUN_RESYNC_INTERVAL/convert",keyword:"convert",params:{},message:result111.problem};
if(vErrors === null){
vErrors = [err111];
}
else {
vErrors.push(err111);
}
errors++;
}
else {
data["RUN_RESYNC_INTERVAL"] = result111.value;
}
const result112 = func2(data.RUN_MAX_FIELDS, schema11.properties.RUN_MAX_FIELDS.convert);
if(result112.problem !== undefined){
const err112 = {instancePath:instancePath+"/RUN_MAX_FIELDS",schemaPath:"#/properties/RUN_MAX_FIELDS/convert",keyword:"convert",params:{},message:result112.problem};
if(vErrors === null){
vErrors = [err112];
}
else {
vErrors.push(err112);
}
errors++;
}
else {
data["RUN_MAX_FIELDS"] = result112.value;
}
const result113 = func2(data.RUN_REDIS_MAX_RETRIES, schema11.properties.RUN_REDIS_MAX_RETRIES.convert);
if(result113.problem !== undefined){
const err113 = {instancePath:instancePath+"/RUN_REDIS_MAX_RETRIES",schemaPath:"#/properties/RUN_REDIS_MAX_RETRIES/convert",keyword:"convert",params:{},message:result113.problem};
if(vErrors === null){
vErrors = [err113];
}
else {
vErrors.push(err113);
}
errors++;
}
else {
data["RUN_REDIS_MAX_RETRIES"] = result113.value;
}
const result114 = func2(data.RUN_REDIS_TIMEOUT, schema11.properties.RUN_REDIS_TIMEOUT.convert);
if(result114.problem !== undefined){
const err114 = {instancePath:instancePath+"/RUN_REDIS_TIMEOUT",schemaPath:"#/properties/RUN_REDIS_TIMEOUT/convert",keyword:"convert",params:{},message:result114.problem};
if(vErrors === null){
vErrors = [err114];
}
else {
vErrors.push(err114);
}
errors++;
}
else {
data["RUN_REDIS_TIMEOUT"] = result114.value;
}
const result115 = func2(data.RUN_REDIS_RETRY_BASE, schema11.properties.RUN_REDIS_RETRY_BASE.convert);
if(result115.problem !== undefined){
const err115 = {instancePath:instancePath+"/RUN_REDIS_RETRY_BASE",schemaPath:"#/properties/RUN_REDIS_RETRY_BASE/convert",keyword:"convert",params:{},message:result115.problem};
if(vErrors === null){
vErrors = [err115];
}
else {
vErrors.push(err115);
}
errors++;
}
else {
data["RUN_REDIS_RETRY_BASE"] = result115.value;
}
const result116 = func2(data.RUN_REDIS_RETRY_MAX, schema11.properties.RUN_REDIS_RETRY_MAX.convert);
if(result116.problem !== undefined){
const err116 = {instancePath:instancePath+"/RUN_REDIS_RETRY_MAX",schemaPath:"#/properties/RUN_REDIS_RETRY_MAX/convert",keyword:"convert",params:{},message:result116.problem};
if(vErrors === null){
vErrors = [err116];
}
else {
vErrors.push(err116);
}
errors++;
}
else {
data["RUN_REDIS_RETRY_MAX"] = result116.value;
}
if(data.RUN_CHECKLIST_MODULE !== undefined){
const result117 = func2(data.RUN_CHECKLIST_MODULE, schema11.properties.RUN_CHECKLIST_MODULE.convert);
if(result117.problem !== undefined){
const err117 = {instancePath:instancePath+"/RUN_CHECKLIST_MODULE",schemaPath:"#/properties/RUN_CHECKLIST_MODULE/convert",keyword:"convert",params:{},message:result117.problem};
if(vErrors === null){
vErrors = [err117];
}
else {
vErrors.push(err117);
}
errors++;
}
else {
data["RUN_CHECKLIST_MODULE"] = result117.value;
}
}
const result118 = func2(data.LIVE_TOPICS, schema11.properties.LIVE_TOPICS.convert);
if(result118.problem !== undefined){
const err118 = {instancePath:instancePath+"/LIVE_TOPICS",schemaPath:"#/properties/LIVE_TOPICS/convert",keyword:"convert",params:{},message:result118.problem};
if(vErrors === null){
vErrors = [err118];
}
else {
vErrors.push(err118);
}
errors++;
}
else {
data["LIVE_TOPICS"] = result118.value;
}
const result119 = func2(data.LIVE_TOPIC_ROLES, schema11.properties.LIVE_TOPIC_ROLES.convert);
if(result119.problem !== undefined){
const err119 = {instancePath:instancePath+"/LIVE_TOPIC_ROLES",schemaPath:"#/properties/LIVE_TOPIC_ROLES/convert",keyword:"convert",params:{},message:result119.problem};
if(vErrors === null){
vErrors = [err119];
}
else {
vErrors.push(err119);
}
errors++;
}
else {
data["LIVE_TOPIC_ROLES"] = result119.value;
}
const result120 = func2(data.LIVE_LAST, schema11.properties.LIVE_LAST.convert);
if(result120.problem !== undefined){
const err120 = {instancePath:instancePath+"/LIVE_LAST",schemaPath:"#/properties/LIVE_LAST/convert",keyword:"convert",params:{},message:result120.problem};
if(vErrors === null){
vErrors = [err120];
}
else {
vErrors.push(err120);
}
errors++;
}
else {
data["LIVE_LAST"] = result120.value;
}
const result121 = func2(data.LIVE_LAST_TTL, schema11.properties.LIVE_LAST_TTL.convert);
if(result121.problem !== undefined){
const err121 = {instancePath:instancePath+"/LIVE_LAST_TTL",schemaPath:"#/properties/LIVE_LAST_TTL/convert",keyword:"convert",params:{},message:result121.problem};
if(vErrors === null){
vErrors = [err121];
}
else {
vErrors.push(err121);
}
errors++;
}
else {
data["LIVE_LAST_TTL"] = result121.value;
}
const result122 = func2(data.LIVE_LAST_MAX_BYTES, schema11.properties.LIVE_LAST_MAX_BYTES.convert);
if(result122.problem !== undefined){
const err122 = {instancePath:instancePath+"/LIVE_LAST_MAX_BYTES",schemaPath:"#/properties/LIVE_LAST_MAX_BYTES/convert",keyword:"convert",params:{},message:result122.problem};
if(vErrors === null){
vErrors = [err122];
}
else {
vErrors.push(err122);
}
errors++;
}
else {
data["LIVE_LAST_MAX_BYTES"] = result122.value;
}
const result123 = func2(data.LIVE_MAX_SUBSCRIPTIONS, schema11.properties.LIVE_MAX_SUBSCRIPTIONS.convert);
if(result123.problem !== undefined){
const err123 = {instancePath:instancePath+"/LIVE_MAX_SUBSCRIPTIONS",schemaPath:"#/properties/LIVE_MAX_SUBSCRIPTIONS/convert",keyword:"convert",params:{},message:result123.problem};
if(vErrors === null){
vErrors = [err123];
}
else {
vErrors.push(err123);
}
errors++;
}
else {
data["LIVE_MAX_SUBSCRIPTIONS"] = result123.value;
}
const result124 = func2(data.LIVE_RATE, schema11.properties.LIVE_RATE.convert);
if(result124.problem !== undefined){
const err124 = {instancePath:instancePath+"/LIVE_RATE",schemaPath:"#/properties/LIVE_RATE/convert",keyword:"convert",params:{},message:result124.problem};
if(vErrors === null){
vErrors = [err124];
}
else {
vErrors.push(err124);
}
errors++;
}
else {
data["LIVE_RATE"] = result124.value;
}
const result125 = func2(data.LIVE_RATE_BURST, schema11.properties.LIVE_RATE_BURST.convert);
if(result125.problem !== undefined){
const err125 = {instancePath:instancePath+"/LIVE_RATE_BURST",schemaPath:"#/properties/LIVE_RATE_BURST/convert",keyword:"convert",params:{},message:result125.problem};
if(vErrors === null){
vErrors = [err125];
}
else {
vErrors.push(err125);
}
errors++;
}
else {
data["LIVE_RATE_BURST"] = result125.value;
}
const result126 = func2(data.LIVE_BYTE_RATE, schema11.properties.LIVE_BYTE_RATE.convert);
if(result126.problem !== undefined){
const err126 = {instancePath:instancePath+"/LIVE_BYTE_RATE",schemaPath:"#/properties/LIVE_BYTE_RATE/convert",keyword:"convert",params:{},message:result126.problem};
if(vErrors === null){
vErrors = [err126];
}
else {
vErrors.push(err126);
}
errors++;
}
else {
data["LIVE_BYTE_RATE"] = result126.value;
}
const result127 = func2(data.LIVE_IDLE_TIMEOUT, schema11.properties.LIVE_IDLE_TIMEOUT.convert);
if(result127.problem !== undefined){
const err127 = {instancePath:instancePath+"/LIVE_IDLE_TIMEOUT",schemaPath:"#/properties/LIVE_IDLE_TIMEOUT/convert",keyword:"convert",params:{},message:result127.problem};
if(vErrors === null){
vErrors = [err127];
}
else {
vErrors.push(err127);
}
errors++;
}
else {
data["LIVE_IDLE_TIMEOUT"] = result127.value;
}
const result128 = func2(data.LIVE_MAX_DROPS, schema11.properties.LIVE_MAX_DROPS.convert);
if(result128.problem !== undefined){
const err128 = {instancePath:instancePath+"/LIVE_MAX_DROPS",schemaPath:"#/properties/LIVE_MAX_DROPS/convert",keyword:"convert",params:{},message:result128.problem};
if(vErrors === null){
vErrors = [err128];
}
else {
vErrors.push(err128);
}
errors++;
}
else {
data["LIVE_MAX_DROPS"] = result128.value;
}
const result129 = func2(data.LIVE_COMPRESSION, schema11.properties.LIVE_COMPRESSION.convert);
if(result129.problem !== undefined){
const err129 = {instancePath:instancePath+"/LIVE_COMPRESSION",schemaPath:"#/properties/LIVE_COMPRESSION/convert",keyword:"convert",params:{},message:result129.problem};
if(vErrors === null){
vErrors = [err129];
}
else {
vErrors.push(err129);
}
errors++;
}
else {
data["LIVE_COMPRESSION"] = result129.value;
}
const result130 = func2(data.LIVE_REFUSE, schema11.properties.LIVE_REFUSE.convert);
if(result130.problem !== undefined){
const err130 = {instancePath:instancePath+"/LIVE_REFUSE",schemaPath:"#/properties/LIVE_REFUSE/convert",keyword:"convert",params:{},message:result130.problem};
if(vErrors === null){
vErrors = [err130];
}
else {
vErrors.push(err130);
}
errors++;
}
else {
data["LIVE_REFUSE"] = result130.value;
}
const result131 = func2(data.LIVE_START, schema11.properties.LIVE_START.convert);
if(result131.problem !== undefined){
const err131 = {instancePath:instancePath+"/LIVE_START",schemaPath:"#/properties/LIVE_START/convert",keyword:"convert",params:{},message:result131.problem};
if(vErrors === null){
vErrors = [err131];
}
else {
vErrors.push(err131);
}
errors++;
}
else {
data["LIVE_START"] = result131.value;
}
const result132 = func2(data.LIVE_PATH, schema11.properties.LIVE_PATH.convert);
if(result132.problem !== undefined){
const err132 = {instancePath:instancePath+"/LIVE_PATH",schemaPath:"#/properties/LIVE_PATH/convert",keyword:"convert",params:{},message:result132.problem};
if(vErrors === null){
vErrors = [err132];
}
else {
vErrors.push(err132);
}
errors++;
}
else {
data["LIVE_PATH"] = result132.value;
}
const result133 = func2(data.LIVE_UNKNOWN_TYPE, schema11.properties.LIVE_UNKNOWN_TYPE.convert);
if(result133.problem !== undefined){
const err133 = {instancePath:instancePath+"/LIVE_UNKNOWN_TYPE",schemaPath:"#/properties/LIVE_UNKNOWN_TYPE/convert",keyword:"convert",params:{},message:result133.problem};
if(vErrors === null){
vErrors = [err133];
}
else {
vErrors.push(err133);
}
errors++;
}
else {
data["LIVE_UNKNOWN_TYPE"] = result133.value;
}
const result134 = func2(data.OUTBOX_TOPICS, schema11.properties.OUTBOX_TOPICS.convert);
if(result134.problem !== undefined){
const err134 = {instancePath:instancePath+"/OUTBOX_TOPICS",schemaPath:"#/properties/OUTBOX_TOPICS/convert",keyword:"convert",params:{},message:result134.problem};
if(vErrors === null){
vErrors = [err134];
}
else {
vErrors.push(err134);
}
errors++;
}
else {
data["OUTBOX_TOPICS"] = result134.value;
}
const result135 = func2(data.OUTBOX_MAX_PER_DAY, schema11.properties.OUTBOX_MAX_PER_DAY.convert);
if(result135.problem !== undefined){
const err135 = {instancePath:instancePath+"/OUTBOX_MAX_PER_DAY",schemaPath:"#/properties/OUTBOX_MAX_PER_DAY/convert",keyword:"convert",params:{},message:result135.problem};
if(vErrors === null){
vErrors = [err135];
}
else {
vErrors.push(err135);
}
errors++;
}
else {
data["OUTBOX_MAX_PER_DAY"] = result135.value;
}
const result136 = func2(data.OUTBOX_LOG_LENGTH, schema11.properties.OUTBOX_LOG_LENGTH.convert);
if(result136.problem !== undefined){
const err136 = {instancePath:instancePath+"/OUTBOX_LOG_LENGTH",schemaPath:"#/properties/OUTBOX_LOG_LENGTH/convert",keyword:"convert",params:{},message:result136.problem};
if(vErrors === null){
vErrors = [err136];
}
else {
vErrors.push(err136);
}
errors++;
}
else {
data["OUTBOX_LOG_LENGTH"] = result136.value;
}
if(data.WS_ALLOWED_ORIGINS !== undefined){
const result137 = func2(data.WS_ALLOWED_ORIGINS, schema11.properties.WS_ALLOWED_ORIGINS.convert);
if(result137.problem !== undefined){
const err137 = {instancePath:instancePath+"/WS_ALLOWED_ORIGINS",schemaPath:"#/properties/WS_ALLOWED_ORIGINS/convert",keyword:"convert",params:{},message:result137.problem};
if(vErrors === null){
vErrors = [err137];
}
else {
vErrors.push(err137);
}
errors++;
}
else {
data["WS_ALLOWED_ORIGINS"] = result137.value;
}
}
const result138 = func2(data.WS_AUTH_REQUIRED, schema11.properties.WS_AUTH_REQUIRED.convert);
if(result138.problem !== undefined){
const err138 = {instancePath:instancePath+"/WS_AUTH_REQUIRED",schemaPath:"#/properties/WS_AUTH_REQUIRED/convert",keyword:"convert",params:{},message:result138.problem};
if(vErrors === null){
vErrors = [err138];
}
else {
vErrors.push(err138);
}
errors++;
}
else {
data["WS_AUTH_REQUIRED"] = result138.value;
}
if(data.WS_AUTH_TOKEN !== undefined){
const result139 = func2(data.WS_AUTH_TOKEN, schema11.properties.WS_AUTH_TOKEN.convert);
if(result139.problem !== undefined){
const err139 = {instancePath:instancePath+"/WS_AUTH_TOKEN",schemaPath:"#/properties/WS_AUTH_TOKEN/convert",keyword:"convert",params:{},message:result139.problem};
if(vErrors === null){
vErrors = [err139];
}
else {
vErrors.push(err139);
}
errors++;
}
else {
data["WS_AUTH_TOKEN"] = result139.value;
}
}
const result140 = func2(data.LOG_LEVEL, schema11.properties.LOG_LEVEL.convert);
if(result140.problem !== undefined){
const err140 = {instancePath:instancePath+"/LOG_LEVEL",schemaPath:"#/properties/LOG_LEVEL/convert",keyword:"convert",params:{},message:result140.problem};
if(vErrors === null){
vErrors = [err140];
}
else {
vErrors.push(err140);
}
errors++;
}
else {
data["LOG_LEVEL"] = result140.value;
}
if(data.HEAP_SNAPSHOT_DIR !== undefined){
const result141 = func2(data.HEAP_SNAPSHOT_DIR, schema11.properties.HEAP_SNAPSHOT_DIR.convert);
if(result141.problem !== undefined){
const err141 = {instancePath:instancePath+"/HEAP_SNAPSHOT_DIR",schemaPath:"#/properties/HEAP_SNAPSHOT_DIR/convert",keyword:"convert",params:{},message:result141.problem};
if(vErrors === null){
vErrors = [err141];
}
else {
vErrors.push(err141);
}
errors++;
}
else {
data["HEAP_SNAPSHOT_DIR"] = result141.value;
}
}
const result142 = func2(data.METRICS_ENABLED, schema11.properties.METRICS_ENABLED.convert);
if(result142.problem !== undefined){
const err142 = {instancePath:instancePath+"/METRICS_ENABLED",schemaPath:"#/properties/METRICS_ENABLED/convert",keyword:"convert",params:{},message:result142.problem};
if(vErrors === null){
vErrors = [err142];
}
else {
vErrors.push(err142);
}
errors++;
}
else {
data["METRICS_ENABLED"] = result142.value;
}
const result143 = func2(data.METRICS_MAX_AGE, schema11.properties.METRICS_MAX_AGE.convert);
if(result143.problem !== undefined){
const err143 = {instancePath:instancePath+"/METRICS_MAX_AGE",schemaPath:"#/properties/METRICS_MAX_AGE/convert",keyword:"convert",params:{},message:result143.problem};
if(vErrors === null){
vErrors = [err143];
}
else {
vErrors.push(err143);
}
errors++;
}
else {
data["METRICS_MAX_AGE"] = result143.value;
}
const result144 = func2(data.METRICS_ALIASES, schema11.properties.METRICS_ALIASES.convert);
if(result144.problem !== undefined){
const err144 = {instancePath:instancePath+"/METRICS_ALIASES",schemaPath:"#/properties/METRICS_ALIASES/convert",keyword:"convert",params:{},message:result144.problem};
if(vErrors === null){
vErrors = [err144];
}
else {
vErrors.push(err144);
}
errors++;
}
else {
data["METRICS_ALIASES"] = result144.value;
}
if(data.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined){
const result145 = func2(data.OTEL_EXPORTER_OTLP_ENDPOINT, schema11.properties.OTEL_EXPORTER_OTLP_ENDPOINT.convert);
if(result145.problem !== undefined){
const err145 = {instancePath:instancePath+"/OTEL_EXPORTER_OTLP_ENDPOINT",schemaPath:"#/properties/OTEL_EXPORTER_OTLP_ENDPOINT/convert",keyword:"convert",params:{},message:result145.problem};
if(vErrors === null){
vErrors = [err145];
}
else {
vErrors.push(err145);
}
errors++;
}
else {
data["OTEL_EXPORTER_OTLP_ENDPOINT"] = result145.value;
}
}
const result146 = func2(data.PREFLIGHT_CHECK_TIMEOUT, schema11.properties.PREFLIGHT_CHECK_TIMEOUT.convert);
if(result146.problem !== undefined){
const err146 = {instancePath:instancePath+"/PREFLIGHT_CHECK_TIMEOUT",schemaPath:"#/properties/PREFLIGHT_CHECK_TIMEOUT/convert",keyword:"convert",params:{},message:result146.problem};
if(vErrors === null){
vErrors = [err146];
}
else {
vErrors.push(err146);
}
errors++;
}
else {
data["PREFLIGHT_CHECK_TIMEOUT"] = result146.value;
}
const result147 = func2(data.PREFLIGHT_HTTP_DEPENDENCIES, schema11.properties.PREFLIGHT_HTTP_DEPENDENCIES.convert);
if(result147.problem !== undefined){
const err147 = {instancePath:instancePath+"/PREFLIGHT_HTTP_DEPENDENCIES",schemaPath:"#/properties/PREFLIGHT_HTTP_DEPENDENCIES/convert",keyword:"convert",params:{},message:result147.problem};
if(vErrors === null){
vErrors = [err147];
}
else {
vErrors.push(err147);
}
errors++;
}
else {
data["PREFLIGHT_HTTP_DEPENDENCIES"] = result147.value;
}
const result148 = func2(data.PREFLIGHT_EVENT_TYPES, schema11.properties.PREFLIGHT_EVENT_TYPES.convert);
if(result148.problem !== undefined){
const err148 = {instancePath:instancePath+"/PREFLIGHT_EVENT_TYPES",schemaPath:"#/properties/PREFLIGHT_EVENT_TYPES/convert",keyword:"convert",params:{},message:result148.problem};
if(vErrors === null){
vErrors = [err148];
}
else {
vErrors.push(err148);
}
errors++;
}
else {
data["PREFLIGHT_EVENT_TYPES"] = result148.value;
}
const result149 = func2(data.PREFLIGHT_RETENTION, schema11.properties.PREFLIGHT_RETENTION.convert);
if(result149.problem !== undefined){
const err149 = {instancePath:instancePath+"/PREFLIGHT_RETENTION",schemaPath:"#/properties/PREFLIGHT_RETENTION/convert",keyword:"convert",params:{},message:result149.problem};
if(vErrors === null){
vErrors = [err149];
}
else {
vErrors.push(err149);
}
errors++;
}
else {
data["PREFLIGHT_RETENTION"] = result149.value;
}
const result150 = func2(data.PREFLIGHT_EXPECTED_RATE, schema11.properties.PREFLIGHT_EXPECTED_RATE.convert);
if(result150.problem !== undefined){
const err150 = {instancePath:instancePath+"/PREFLIGHT_EXPECTED_RATE",schemaPath:"#/properties/PREFLIGHT_EXPECTED_RATE/convert",keyword:"convert",params:{},message:result150.problem};
if(vErrors === null){
vErrors = [err150];
}
else {
vErrors.push(err150);
}
errors++;
}
else {
data["PREFLIGHT_EXPECTED_RATE"] = result150.value;
}
if(data.PREFLIGHT_CHECKS_FOLDER !== undefined){
const result151 = func2(data.PREFLIGHT_CHECKS_FOLDER, schema11.properties.PREFLIGHT_CHECKS_FOLDER.convert);
if(result151.problem !== undefined){
const err151 = {instancePath:instancePath+"/PREFLIGHT_CHECKS_FOLDER",schemaPath:"#/properties/PREFLIGHT_CHECKS_FOLDER/convert",keyword:"convert",params:{},message:result151.problem};
if(vErrors === null){
vErrors = [err151];
}
else {
vErrors.push(err151);
}
errors++;
}
else {
data["PREFLIGHT_CHECKS_FOLDER"] = result151.value;
}
}
if(data.SENTRY_DSN !== undefined){
const result152 = func2(data.SENTRY_DSN, schema11.properties.SENTRY_DSN.convert);
if(result152.problem !== undefined){
const err152 = {instancePath:instancePath+"/SENTRY_DSN",schemaPath:"#/properties/SENTRY_DSN/convert",keyword:"convert",params:{},message:result152.problem};
if(vErrors === null){
vErrors = [err152];
}
else {
vErrors.push(err152);
}
errors++;
}
else {
data["SENTRY_DSN"] = result152.value;
}
}
}
else {
const err153 = {instancePath,schemaPath:"#/type",keyword:"type",params:{type: "object"},message:"must be object"};
if(vErrors === null){
vErrors = [err153];
}
else {
vErrors.push(err153);
}
errors++;
}
validate10.errors = vErrors;
return errors === 0;
}

