-- The same load on etcd through its JSON gateway.
--
-- usage: wrk ... -s etcd.lua URL -- MODE KEYS
--   put    durable writes      getc   linearizable reads      get    serializable reads

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- base64, three bytes at a time.
local function encode(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    local four = {}
    for place = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ place) % 64 + 1
      four[#four + 1] = alphabet:sub(digit, digit)
    end
    if not c then four[4] = "=" end
    if not b then four[3] = "=" end
    out[#out + 1] = table.concat(four)
  end
  return table.concat(out)
end

local made, keys

function init(args)
  local mode = args[1] or "getc"
  keys = tonumber(args[2] or "10000")
  math.randomseed(os.time())
  made = {}
  local value = encode(string.rep("v", 120))
  for i = 0, keys - 1 do
    local key = encode(string.format("user%08d", i))
    if mode == "put" then
      made[i] = wrk.format("POST", "/v3/kv/put", {}, '{"key":"' .. key .. '","value":"' .. value .. '"}')
    else
      local how = mode == "get" and ',"serializable":true' or ""
      made[i] = wrk.format("POST", "/v3/kv/range", {}, '{"key":"' .. key .. '"' .. how .. "}")
    end
  end
end

function request()
  return made[math.random(0, keys - 1)]
end
