//! The peer in Rust: the gateway that a good engineer writes by hand with axum, tokio and redis-rs.
//! It has the same URLs, keys, channels and environment (REDIS_URL, LISTEN_ADDR, AUTH_TOKEN_MODE)
//! as ours and nothing else: no limits but one queue for each socket, no heartbeat, no metrics.
//! It runs on one thread, which costs less CPU a message than tokio's default of one a core.

mod session;

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use session::{Membership, Sessions};
use tokio::net::TcpListener;

/// Tungstenite's default of 128 KB for each socket would be 1.3 GB for 10,000 of them.
const READ_BUFFER_BYTES: usize = 4 * 1024;

struct Gateway {
    redis: MultiplexedConnection,
    sessions: Arc<Sessions>,
    reusable: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let address = env::var("LISTEN_ADDR").unwrap_or_else(|_| "127.0.0.1:8080".into());
    let client = redis::Client::open(url)?;
    let gateway = Arc::new(Gateway {
        redis: client.get_multiplexed_async_connection().await?,
        sessions: Sessions::open(&client).await?,
        reusable: env::var("AUTH_TOKEN_MODE").is_ok_and(|mode| mode == "reusable"),
    });
    let app = Router::new()
        .route("/{prefix}/ws/{id}", any(upgrade))
        .with_state(gateway);
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {address}");
    axum::serve(listener, app).await?;
    Ok(())
}

/// Answers 101 only when the token was right and the session's channel is subscribed.
async fn upgrade(
    Path((_, id)): Path<(String, String)>,
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    request: WebSocketUpgrade,
) -> Result<Response, StatusCode> {
    let known = id
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c));
    if !known {
        return Err(StatusCode::NOT_FOUND);
    }
    if !gateway.is_allowed(&id, &headers).await? {
        return Err(StatusCode::FORBIDDEN);
    }
    let membership = Sessions::join(&gateway.sessions, &id)
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let redis = gateway.redis.clone();
    Ok(request
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| serve(socket, membership, redis, format!("session:{id}:up"))))
}

impl Gateway {
    /// Compares the bearer token with the one in Redis, which is good for one connection unless
    /// AUTH_TOKEN_MODE=reusable.
    async fn is_allowed(&self, id: &str, headers: &HeaderMap) -> Result<bool, StatusCode> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some(token) = given.and_then(|value| value.strip_prefix("Bearer ")) else {
            return Ok(false);
        };
        let (mut redis, key) = (self.redis.clone(), format!("session:{id}:auth"));
        let answer: redis::RedisResult<Option<String>> = if self.reusable {
            redis.get(key).await
        } else {
            redis.get_del(key).await
        };
        let expected = answer.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        Ok(expected.is_some_and(|expected| expected == token))
    }
}

/// Serves a socket until either side ends it.
async fn serve(
    socket: WebSocket,
    membership: Membership,
    redis: MultiplexedConnection,
    up: String,
) {
    let (sink, mut frames) = socket.split();
    let mut writer = tokio::spawn(write(sink, membership));
    loop {
        tokio::select! {
            frame = frames.next() => match frame {
                Some(Ok(Message::Text(text))) => publish(&redis, &up, text).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            _ = &mut writer => return,
        }
    }
    writer.abort();
}

/// Publishes in the order of the frames: the multiplexed connection writes what waits together.
async fn publish(redis: &MultiplexedConnection, channel: &str, text: Utf8Bytes) {
    let published: redis::RedisResult<()> = redis.clone().publish(channel, text.as_str()).await;
    if let Err(error) = published {
        eprintln!("redis: {error}");
    }
}

/// Writes what waits for the socket with one system call.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut membership: Membership) {
    while let Some(first) = membership.messages.recv().await {
        let mut next = Some(first);
        while let Some(bytes) = next {
            if sink.feed(text(bytes)).await.is_err() {
                return;
            }
            next = membership.messages.try_recv().ok();
        }
        if sink.flush().await.is_err() {
            return;
        }
    }
}

/// A message that is no UTF-8 goes out as a binary frame.
fn text(bytes: Bytes) -> Message {
    Utf8Bytes::try_from(bytes.clone()).map_or(Message::Binary(bytes), Message::Text)
}
