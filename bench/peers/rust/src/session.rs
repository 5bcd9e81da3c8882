//! Sessions: which sockets listen to a channel, and the one subscriber of Redis that feeds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::StreamExt;
use redis::RedisResult;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::{OnceCell, mpsc};
use tokio::time::sleep;

/// A socket that leaves this many messages unread is cut off.
const QUEUE: usize = 1024;
const RETRY: Duration = Duration::from_millis(50);

/// A session with its sockets. The first one subscribes, the others wait for it.
#[derive(Default)]
struct Session {
    subscribed: Arc<OnceCell<()>>,
    sockets: HashMap<u64, mpsc::Sender<Bytes>>,
}

#[derive(Default)]
struct Inner {
    by_channel: HashMap<String, Session>,
    last_socket: u64,
}

pub struct Sessions {
    sink: Mutex<PubSubSink>,
    inner: Mutex<Inner>,
}

/// A socket's place in its session. It leaves when this is dropped.
pub struct Membership {
    pub messages: mpsc::Receiver<Bytes>,
    sessions: Arc<Sessions>,
    channel: String,
    socket: u64,
}

impl Sessions {
    /// Connects the subscriber, and keeps it connected.
    pub async fn open(client: &redis::Client) -> RedisResult<Arc<Self>> {
        let (sink, stream) = client.get_async_pubsub().await?.split();
        let sessions = Arc::new(Self {
            sink: Mutex::new(sink),
            inner: Mutex::default(),
        });
        tokio::spawn(Self::feed(sessions.clone(), client.clone(), stream));
        Ok(sessions)
    }

    /// Resolves when the session's channel is subscribed.
    pub async fn join(sessions: &Arc<Self>, id: &str) -> RedisResult<Membership> {
        let channel = format!("session:{id}:down");
        let (sender, messages) = mpsc::channel(QUEUE);
        let (socket, subscribed) = {
            let mut inner = sessions.inner.lock().unwrap();
            inner.last_socket += 1;
            let socket = inner.last_socket;
            let session = inner.by_channel.entry(channel.clone()).or_default();
            session.sockets.insert(socket, sender);
            (socket, session.subscribed.clone())
        };
        let membership = Membership {
            messages,
            sessions: sessions.clone(),
            channel,
            socket,
        };
        let mut sink = sessions.sink.lock().unwrap().clone();
        subscribed
            .get_or_try_init(|| sink.subscribe(&membership.channel))
            .await?;
        Ok(membership)
    }

    /// Hands out what Redis delivers. When the link ends, it dials again and subscribes again.
    async fn feed(sessions: Arc<Self>, client: redis::Client, mut stream: PubSubStream) {
        loop {
            while let Some(message) = stream.next().await {
                let payload = Bytes::copy_from_slice(message.get_payload_bytes());
                sessions.deliver(message.get_channel_name(), &payload);
            }
            stream = loop {
                match sessions.again(&client).await {
                    Ok(stream) => break stream,
                    Err(_) => sleep(RETRY).await,
                }
            }
        }
    }

    async fn again(&self, client: &redis::Client) -> RedisResult<PubSubStream> {
        let (mut sink, stream) = client.get_async_pubsub().await?.split();
        let channels: Vec<String> = self
            .inner
            .lock()
            .unwrap()
            .by_channel
            .keys()
            .cloned()
            .collect();
        if !channels.is_empty() {
            sink.subscribe(channels).await?;
        }
        *self.sink.lock().unwrap() = sink;
        Ok(stream)
    }

    fn deliver(&self, channel: &str, payload: &Bytes) {
        let mut inner = self.inner.lock().unwrap();
        let Some(session) = inner.by_channel.get_mut(channel) else {
            return;
        };
        // Dropping the sender ends the writer of a socket that reads too slowly.
        session
            .sockets
            .retain(|_, sender| sender.try_send(payload.clone()).is_ok());
    }

    /// Unsubscribes when the last socket of the session has left.
    fn leave(self: &Arc<Self>, channel: &str, socket: u64) {
        let mut inner = self.inner.lock().unwrap();
        let Some(session) = inner.by_channel.get_mut(channel) else {
            return;
        };
        session.sockets.remove(&socket);
        if !session.sockets.is_empty() {
            return;
        }
        inner.by_channel.remove(channel);
        tokio::spawn(self.clone().unsubscribe(channel.to_owned()));
    }

    /// A socket may have joined the session meanwhile. There is one thread, and the sink keeps the
    /// order of commands, so no later SUBSCRIBE comes between this look and the UNSUBSCRIBE.
    async fn unsubscribe(self: Arc<Self>, channel: String) {
        let joined = self.inner.lock().unwrap().by_channel.contains_key(&channel);
        if !joined {
            let mut sink = self.sink.lock().unwrap().clone();
            let _ = sink.unsubscribe(channel).await; // a lost link has no subscriptions
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.sessions.leave(&self.channel, self.socket);
    }
}
