-- Requests from a file for wrk, each sent once: such that are signed cannot be sent again.
--
--   wrk -t1 -c64 -d3s -s scripts/wrk/prepared.lua http://127.0.0.1:PORT -- FILE
--
-- The file holds whole requests, with a zero byte behind each. Past the last one it is sent again and again,
-- and refused, which the result shows.

local requests = {}
local next_request = 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local text = file:read("*a")
  file:close()
  for request in text:gmatch("[^%z]+") do
    requests[#requests + 1] = request
  end
end

function request()
  next_request = math.min(next_request + 1, #requests)
  return requests[next_request]
end

function done(summary, latency)
  io.write(string.format("RESULT %.0f %d %d\n", summary.requests / (summary.duration / 1e6), summary.requests,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout))
end
