#!/usr/bin/env bash
# Runs:    uvicorn 0.54.0 with limit_concurrency, on 127.0.0.1.
# Seen:    connections that are open and idle count, and so does the one that asks. With a limit of
#          1 every request gets 503, even the first one of a quiet server. With 2, one client that
#          keeps its connection open shuts everybody else out, while its own requests pass.
# Guess:   a limit of N answers N requests at a time; idle connections are free.
# Matters: `--limit-concurrency 1` in front of work that must not run twice takes the service down.
#          A limit of 10 is used up by one dashboard's connection pool, and the health check gets
#          the 503: the orchestrator restarts a service that has nothing to do. Use a semaphore in
#          the application, or a limit well above all clients' pools.
# Output:  limit 1: 503 503 503, the first connection again: 503
#          limit 2: 200 503 503, the first connection again: 200
#          limit 3: 200 200 503, the first connection again: 200
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile uvicorn==0.54.0

timeout 60 "$WORK/venv/bin/python" - <<'PYTHON'
import http.client
import threading
import time

import uvicorn


async def application(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def get(connection):
    connection.request("GET", "/health")
    response = connection.getresponse()
    response.read()
    return response.status


def statuses(limit):
    """The answers to three clients that keep their connections, then to the first one again."""
    server = uvicorn.Server(
        uvicorn.Config(
            application, port=0, limit_concurrency=limit, lifespan="off", log_level="error"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(3)]
    answers = [get(client) for client in clients] + [get(clients[0])]
    for client in clients:
        client.close()
    server.should_exit = True
    thread.join(10)
    return answers


seen = {limit: statuses(limit) for limit in (1, 2, 3)}
for limit, answers in seen.items():
    print(f"limit {limit}:", *answers[:3], "- the first connection again:", answers[3])
assert seen == {1: [503, 503, 503, 503], 2: [200, 503, 503, 200], 3: [200, 200, 503, 200]}, seen
PYTHON
