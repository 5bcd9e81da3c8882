import json, os, secrets, redis

server = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
subscriber = server.pubsub(ignore_subscribe_messages=True)
subscriber.subscribe("session:s1:up")
server.set("session:s1:auth", token := secrets.token_urlsafe(32), ex=60)
print(token, flush=True)
for message in subscriber.listen():
    for text in ["You", "said:", json.loads(message["data"])["text"]]:
        server.publish("session:s1:down", json.dumps({"type": "token", "text": text}))
    server.publish("session:s1:down", json.dumps({"type": "control", "command": "stream_end"}))
