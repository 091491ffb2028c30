-- Load on tables with and without indexes, for `benches/dataplane.py`.
--
-- usage: wrk ... -s dataplane.lua URL -- MODE KEYS [DELAY]
--   put        whole items into `plain`           indexed     the same into `indexed`, whose two indexes change each time
--   get        GetItem of `plain`                 statement   the same read as a PartiQL statement
--   query      100 items of 1 KB of `pages`
--
-- With a DELAY in milliseconds each connection waits so long before each request: a steady rate.

local headers = {
  ["Content-Type"] = "application/x-amz-json-1.0",
  ["X-Amz-Date"] = "20261121T000000Z",
  ["Authorization"] = "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/dynamodb/aws4_request, "
    .. "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" .. string.rep("0", 64),
}

local item = '"Item":{"pk":{"S":"%s"},"v":{"S":"' .. string.rep("v", 100) .. '"},"a":{"S":"a%d"},"b":{"N":"%d"}}}'
local shapes = {
  put = { "PutItem", '{"TableName":"plain",' .. item },
  indexed = { "PutItem", '{"TableName":"indexed",' .. item },
  get = { "GetItem", '{"TableName":"plain","Key":{"pk":{"S":"%s"}}}' },
  statement = { "ExecuteStatement", '{"Statement":"SELECT * FROM plain WHERE pk = ?","Parameters":[{"S":"%s"}]}' },
  query = { "Query", '{"TableName":"pages","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"%s"}}}' },
}

local body, keys, wait

function init(args)
  local mode = args[1] or "get"
  keys = tonumber(args[2] or "10000")
  wait = tonumber(args[3] or "0")
  math.randomseed(os.time())
  headers["X-Amz-Target"] = "DynamoDB_20120810." .. shapes[mode][1]
  body = shapes[mode][2]
  if wait > 0 then
    delay = function() return wait end
  end
end

function request()
  local key = string.format("user%08d", math.random(0, keys - 1))
  -- Another index key nearly every time, so that entries move.
  return wrk.format("POST", "/", headers, string.format(body, key, math.random(1, 1000000), math.random(1, 1000000)))
end

local shown = 0
function response(status, _, text)
  if status ~= 200 and shown < 3 then
    shown = shown + 1
    io.stderr:write(status, " ", text:sub(1, 200), "\n")
  end
end
