// A client of the WebSocket at /ws: follows its own orders and a book, places an order, cancels it.
// For Node 22 and later (20: node --experimental-websocket), and for a browser, where a page has to come
// from this machine (http://localhost:…): the server believes no other one who its user is.
//
//   ringbook serve                       the demo users and symbols; or any other server
//   node client.js [URL] [USER] [SYMBOL]
//
// Leaves with 0 when it has been told that its order was NEW and then CANCELED.

const given = globalThis.process?.argv.slice(2) ?? [];
const [url = "ws://127.0.0.1:8080/ws", user = "1001", symbol = "BTC_USDT"] = given;
const LIMIT_MS = 20_000;

// A snapshot, and the changes behind it. Prices stay the text that they are: no rounding.
const book = { bids: new Map(), asks: new Map(), update: null };

function takeBook(message) {
  if (message.type === "depth.snapshot") {
    book.bids.clear();
    book.asks.clear();
  } else if (message.first_update_id !== book.update + 1) {
    throw new Error(`changes are missing behind ${book.update}`);
  }
  book.update = message.last_update_id;
  for (const side of ["bids", "asks"]) {
    for (const [price, qty] of message[side]) {
      if (qty === "0") book[side].delete(price);
      else book[side].set(price, qty);
    }
  }
}

// Development mode: the server believes who connects from this machine.
const socket = new WebSocket(`${url}?user_id=${user}`);
const send = (message) => socket.send(JSON.stringify(message));
const seen = [];
let placeSent = false;
let orderId = null;
let outcome = null;

function end(error) {
  if (outcome !== null) return;
  outcome = error ? 1 : 0;
  clearTimeout(timer);
  console.log(error ? `failed: ${error}` : "done");
  socket.close();
  if (globalThis.process) process.exitCode = outcome;
}

const timer = setTimeout(() => end(`nothing more within ${LIMIT_MS} ms`), LIMIT_MS);

function take(message) {
  const { type, data } = message;
  switch (type) {
    case "error":
    case "auth.error":
      throw new Error(message.msg);
    case "depth.snapshot":
    case "depth.update":
      takeBook(message);
      console.log(`book ${book.update}: ${book.bids.size} bids, ${book.asks.size} asks`);
      if (!placeSent) {
        placeSent = true;
        // POST_ONLY: it rests, or it is rejected; it never trades.
        const order = { symbol, side: "BUY", type: "POST_ONLY", price: "1", qty: "1" };
        send({ type: "order.place", id: "place", data: order });
      }
      break;
    case "order.place.success":
      // Accepted and durable. What becomes of it comes as order.update, before or after this.
      orderId = data.order_id;
      console.log(`order ${orderId} accepted`);
      send({ type: "order.cancel", id: "cancel", data: { order_id: orderId } });
      break;
    case "order.update":
      console.log(`order ${data.order_id} is ${data.status}`);
      seen.push(data);
      break;
    case "balance.update":
      console.log(`${data.asset}: ${data.avail} free, ${data.frozen} held (${data.delta}, ${data.reason})`);
      break;
    default:
      console.log(type);
  }
  const mine = seen.filter((order) => order.order_id === orderId).map((order) => order.status);
  if (mine.includes("CANCELED")) {
    end(mine.join() === "NEW,CANCELED" ? null : `the order was ${mine}`);
  }
}

socket.onopen = () => send({ type: "subscribe", id: "book", channels: [`depth:${symbol}`] });
socket.onmessage = ({ data }) => {
  try {
    if (outcome === null) take(JSON.parse(data));
  } catch (error) {
    end(error.message);
  }
};
socket.onclose = ({ code }) => end(`closed with ${code}`);
socket.onerror = () => end("no connection");
