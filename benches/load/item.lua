-- Load on single items of the table `bench`, for any DynamoDB endpoint that verifies no signatures.
--
-- usage: wrk ... -s item.lua URL -- MODE KEYS
--   get    eventually consistent reads      getc   strongly consistent reads
--   put    whole-item writes                query  one partition key
--   mixed  95 % getc, 5 % put
--
-- Every request is made before the run, one for each key, so that the measuring thread only picks.

local headers = {
  ["Content-Type"] = "application/x-amz-json-1.0",
  ["X-Amz-Date"] = "20261121T000000Z",
  ["Authorization"] = "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/dynamodb/aws4_request, "
    .. "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" .. string.rep("0", 64),
}

local shapes = {
  get = { "GetItem", '{"TableName":"bench","Key":{"pk":{"S":"%s"}}}' },
  getc = { "GetItem", '{"TableName":"bench","Key":{"pk":{"S":"%s"}},"ConsistentRead":true}' },
  put = { "PutItem", '{"TableName":"bench","Item":{"pk":{"S":"%s"},"v":{"S":"' .. string.rep("v", 100) .. '"},"n":{"N":"%d"}}}' },
  query = { "Query", '{"TableName":"bench","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"%s"}}}' },
}

local first, second, share, keys

local function prepare(mode)
  local operation, body = shapes[mode][1], shapes[mode][2]
  local made = {}
  headers["X-Amz-Target"] = "DynamoDB_20120810." .. operation
  for i = 0, keys - 1 do
    made[i] = wrk.format("POST", "/", headers, string.format(body, string.format("user%08d", i), i))
  end
  return made
end

function init(args)
  local mode = args[1] or "getc"
  keys = tonumber(args[2] or "10000")
  math.randomseed(os.time())
  share = mode == "mixed" and 0.05 or 0
  first = prepare(mode == "mixed" and "getc" or mode)
  second = mode == "mixed" and prepare("put") or first
end

function request()
  local made = math.random() < share and second or first
  return made[math.random(0, keys - 1)]
end

local shown = 0
function response(status, _, body)
  if status ~= 200 and shown < 3 then
    shown = shown + 1
    io.stderr:write(status, " ", body:sub(1, 200), "\n")
  end
end
