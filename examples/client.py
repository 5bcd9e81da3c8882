import json, sys
from websockets.sync.client import connect

token, *rest = sys.argv[1:]
url = rest[0] if rest else "ws://127.0.0.1:8080/agent-1/ws/s1"
with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
    socket.send(json.dumps({"type": "ask", "text": "hello"}))
    for message in socket:
        frame = json.loads(message)
        if frame["type"] == "token":
            print(frame["text"], flush=True)
