"""Follows a session over plain HTTP, without packages: python3 stream.py URL TOKEN."""
import http.client
import sys
import time
import urllib.error
import urllib.request


def events(url, token):
    """Yields (id, name, data) and comes back with the last id. Ends with a stream that is complete."""
    last, pause = "", 1.0
    while True:
        headers = {"Authorization": "Bearer " + token, **({"Last-Event-ID": last} if last else {})}
        name, data = "message", []
        try:
            # A silent stream has a comment every 15 s: one that is silent for longer is dead.
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=45) as answer:
                if answer.status == 204:
                    return
                for line in answer:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "id":
                        last = value
                    elif field == "event":
                        name = value
                    elif field == "data":
                        data.append(value)
                    elif field == "retry":
                        pause = int(value) / 1000
                    elif field == "" and data:
                        yield last, name, "\n".join(data)
                        name, data = "message", []
        except urllib.error.HTTPError as error:
            if error.code < 429:
                raise
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(pause)


if __name__ == "__main__":
    for _, name, data in events(sys.argv[1], sys.argv[2]):
        if name == "message":
            print(data, flush=True)
