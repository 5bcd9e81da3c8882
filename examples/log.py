import json, os, secrets, time, redis

LOG, META, DOWN = "{session:s1:down}:log", "{session:s1:down}:meta", "session:s1:down"
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
server = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


def new_epoch():
    ms, text = time.time_ns() // 1_000_000, ""
    for _ in range(9):
        ms, digit = divmod(ms, 36)
        text = DIGITS[digit] + text
    return text + "".join(secrets.choice(DIGITS) for _ in range(3))


newest = server.xrevrange(LOG, count=1)
if not newest:
    server.delete(META)  # Numbers never begin again in an epoch.
server.hsetnx(META, "e", new_epoch())
epoch, number = server.hget(META, "e"), int(newest[0][0].split("-")[1]) if newest else 0


def say(frame):
    """Only one program may write to the session: it counts by itself."""
    global number
    number += 1
    payload = json.dumps(frame)
    commands = server.pipeline(transaction=False)
    commands.xadd(LOG, {"m": payload}, id=f"0-{number}", maxlen=1000)
    commands.expire(LOG, 3600).expire(META, 3600)
    commands.publish(DOWN, f"\x1e{epoch}.{number}\x1e{payload}")
    commands.execute()


subscriber = server.pubsub(ignore_subscribe_messages=True)
subscriber.subscribe("session:s1:up")
server.set("session:s1:auth", token := secrets.token_urlsafe(32), ex=60)
print(token, flush=True)
for message in subscriber.listen():
    frame = json.loads(message["data"])
    if frame.get("command") == "cancel":
        continue
    for text in ["You", "said:", *frame["text"].split(" ")]:
        if server.getdel("session:s1:cancel") is not None:
            break
        say({"type": "token", "text": text})
    say({"type": "control", "command": "stream_end"})
