-- POST /api/v1/create_order for wrk: every request is built once, in init, and then only handed
-- out in turn. (Built per request, wrk itself is the limit at about 62,000 requests/s.)
--
--   wrk -t1 -c64 -d10s --latency -s scripts/wrk/create_order.lua http://127.0.0.1:PORT
--       [-- USERS [SYMBOL [PRICE [TICK [QTY [PIPELINE [close]]]]]]]
--
-- Users 1 to USERS in turn, BUY and SELL in turn, prices spread evenly a few ticks around PRICE on
-- both sides, so that about half of the orders meet one and the book stays shallow. With PIPELINE each
-- connection sends so many requests at once, and wrk waits for all of their answers. With `close` every
-- request asks for the end of its connection, so each comes on one of its own.

local REQUESTS = 4096
local SPREAD_TICKS = 8

local requests = {}
local next_request = 0

function init(arguments)
  local users = tonumber(arguments[1]) or 1000
  local symbol = arguments[2] or "BTC_USDT"
  local price = tonumber(arguments[3]) or 50000
  local tick = tonumber(arguments[4]) or 1
  local quantity = arguments[5] or "0.001"
  local pipeline = tonumber(arguments[6]) or 1
  -- The same sequence in every run.
  math.randomseed(20260101)
  for index = 1, REQUESTS do
    local side = index % 2 == 0 and "BUY" or "SELL"
    local offset = math.random(-SPREAD_TICKS, SPREAD_TICKS) * tick
    local body = string.format(
      '{"symbol":"%s","side":"%s","type":"LIMIT","price":"%s","qty":"%s"}',
      symbol, side, tostring(price + offset), quantity)
    local headers = {
      ["Content-Type"] = "application/json",
      ["X-User-ID"] = tostring((index - 1) % users + 1),
    }
    if arguments[7] == "close" then
      headers["Connection"] = "close"
    end
    requests[index] = wrk.format("POST", "/api/v1/create_order", headers, body)
  end
  if pipeline > 1 then
    local single = requests
    requests = {}
    for index = 1, REQUESTS do
      local burst = {}
      for offset = 0, pipeline - 1 do
        burst[offset + 1] = single[(index * pipeline + offset) % REQUESTS + 1]
      end
      requests[index] = table.concat(burst)
    end
  end
end

function request()
  next_request = next_request % REQUESTS + 1
  return requests[next_request]
end

-- Answers other than 2xx, at the end: wrk itself only counts them.
function done(summary, latency)
  local seconds = summary.duration / 1e6
  io.write(string.format(
    "RESULT requests/s %.0f  p50 %.0f us  p99 %.0f us  max %.0f us  errors %d  non-2xx %d\n",
    summary.requests / seconds, latency:percentile(50), latency:percentile(99), latency.max,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.errors.status))
end
