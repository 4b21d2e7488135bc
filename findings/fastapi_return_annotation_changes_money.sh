#!/usr/bin/env bash
# Runs:    fastapi 0.165.0, pydantic 2.14.4; one handler that returns {"nav": Decimal, ...}, once
#          without and once with the annotation `-> dict`.
# Seen:    without it a Decimal is a JSON number made of a float: 12345678901234567.10 is sent as
#          1.2345678901234568e+16, and a NaN is status 500. With it the Decimal is the exact string,
#          and a NaN is null with status 200; a timedelta turns from 5400.0 into "PT1H30M". The way
#          in loses cents too: a JSON number becomes a float before a Decimal field gets it.
# Guess:   an annotation that names no type of the content checks and documents, and leaves the
#          bytes alone; NaN fails in both.
# Matters: someone tidies up type hints, and the portfolio's NAV changes from number to string for
#          each client, or a P&L of NaN, formerly an alarm by its 500, becomes null. A client that
#          compares with the database has to take both forms, and null is not zero. Money travels as
#          strings in both directions.
# Output:  no annotation: {"nav":1.2345678901234568e+16,"took":5400.0}; NaN: 500
#          -> dict:       {"nav":"12345678901234567.10","took":"PT1H30M"}; NaN: 200 {"pnl":null}
#          in as a number: 12345678901234568, as a string: 12345678901234567.10
set -euo pipefail
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
timeout 180 "$WORK/venv/bin/pip" install --quiet --no-compile \
    fastapi==0.165.0 pydantic==2.14.4 httpx2==2.16.2

timeout 60 "$WORK/venv/bin/python" -W ignore - <<'PYTHON'
from datetime import timedelta
from decimal import Decimal

from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

NAV = "12345678901234567.10"
app = FastAPI()


class Cash(BaseModel):
    amount: Decimal


def book():
    return {"nav": Decimal(NAV), "took": timedelta(minutes=90)}


def loss():
    return {"pnl": float("nan")}


def annotated(handler):
    def with_annotation() -> dict:
        return handler()

    return with_annotation


app.get("/plain/book")(book)
app.get("/plain/loss")(loss)
app.get("/dict/book")(annotated(book))
app.get("/dict/loss")(annotated(loss))


@app.post("/cash")
def cash(given: Cash) -> str:
    return str(given.amount)


client = TestClient(app, raise_server_exceptions=False)


def get(path):
    response = client.get(path)
    return response.status_code, response.text


def post(amount):
    body = f'{{"amount": {amount}}}'
    return client.post("/cash", content=body, headers={"content-type": "application/json"}).json()


seen = {path: get(path) for path in ("/plain/book", "/plain/loss", "/dict/book", "/dict/loss")}
seen["number in"], seen["string in"] = post(NAV), post(f'"{NAV}"')
for name, value in seen.items():
    print(name, value)
assert seen == {
    "/plain/book": (200, '{"nav":1.2345678901234568e+16,"took":5400.0}'),
    "/plain/loss": (500, "Internal Server Error"),
    "/dict/book": (200, f'{{"nav":"{NAV}","took":"PT1H30M"}}'),
    "/dict/loss": (200, '{"pnl":null}'),
    "number in": "12345678901234568",
    "string in": NAV,
}, seen
PYTHON
