"""A client of the WebSocket at /ws: follows its own orders and a book, places an order, cancels it.

    pip install websockets             # and Python 3.11 or later
    ringbook serve                     # the demo users and symbols; or any other server
    python client.py [URL] [USER] [SYMBOL]

Leaves with 0 when it has been told that its order was NEW and then CANCELED.
"""

import asyncio
import json
import sys

import websockets

DEFAULTS = ["ws://127.0.0.1:8080/ws", "1001", "BTC_USDT"]
URL, USER, SYMBOL = (sys.argv[1:] + DEFAULTS[len(sys.argv) - 1:])[:3]
LIMIT_S = 20


class Book:
    """A snapshot, and the changes behind it. Prices stay the text that they are: no rounding."""

    def __init__(self):
        self.sides, self.update = {"bids": {}, "asks": {}}, None

    def take(self, message):
        if message["type"] == "depth.snapshot":
            self.sides = {"bids": {}, "asks": {}}
        elif message["first_update_id"] != self.update + 1:
            raise RuntimeError(f"changes are missing behind {self.update}")
        self.update = message["last_update_id"]
        for name, levels in self.sides.items():
            for price, qty in message[name]:
                if qty == "0":
                    levels.pop(price, None)
                else:
                    levels[price] = qty


async def trade(socket):
    book, order_id, place_sent = Book(), None, False
    seen = []
    subscribe = {"type": "subscribe", "id": "book", "channels": [f"depth:{SYMBOL}"]}
    await socket.send(json.dumps(subscribe))

    async for text in socket:
        message = json.loads(text)
        kind, data = message["type"], message.get("data")

        if kind == "error" or kind == "auth.error":
            raise RuntimeError(message["msg"])
        elif kind in ("depth.snapshot", "depth.update"):
            book.take(message)
            bids, asks = (len(levels) for levels in book.sides.values())
            print(f"book {book.update}: {bids} bids, {asks} asks")
            if not place_sent:
                place_sent = True
                # POST_ONLY: it rests, or it is rejected; it never trades.
                order = {"symbol": SYMBOL, "side": "BUY", "type": "POST_ONLY"}
                order |= {"price": "1", "qty": "1"}
                place = {"type": "order.place", "id": "place", "data": order}
                await socket.send(json.dumps(place))
        elif kind == "order.place.success":
            # Accepted and durable. What becomes of it comes as order.update, before or after this.
            order_id = data["order_id"]
            print(f"order {order_id} accepted")
            cancel = {"type": "order.cancel", "id": "cancel", "data": {"order_id": order_id}}
            await socket.send(json.dumps(cancel))
        elif kind == "order.update":
            print(f"order {data['order_id']} is {data['status']}")
            seen.append((data["order_id"], data["status"]))
        elif kind == "balance.update":
            have = f"{data['avail']} free, {data['frozen']} held"
            print(f"{data['asset']}: {have} ({data['delta']}, {data['reason']})")
        else:
            print(kind)

        if (order_id, "CANCELED") in seen:
            mine = [status for order, status in seen if order == order_id]
            if mine != ["NEW", "CANCELED"]:
                raise RuntimeError(f"the order was {mine}")
            return


async def main():
    # Development mode: the server believes who connects from this machine.
    async with asyncio.timeout(LIMIT_S), websockets.connect(f"{URL}?user_id={USER}") as socket:
        await trade(socket)
    print("done")


try:
    asyncio.run(main())
except Exception as error:
    sys.exit(f"failed: {error or type(error).__name__}")
