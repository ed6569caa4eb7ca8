"""What Redis does for the driver in one go, as Lua.

All keys begin with the store's prefix, which has the hash tag: a cluster keeps a store on one node.
A document is a string: 16 digits of its version, 8 of the characters of its entries, 8 of those of its body, the
entries, the body. A place in an index is a member of a sorted set whose scores are all 0.
"""

from __future__ import annotations

#: KEYS: the prefix. ARGV: the token of who has a turn, then lists, each after its length; see `RedisDriver.commit`.
#: Gives 0 where a condition does not hold, else the version of what was written, or 1 for nothing.
COMMIT = r"""
local prefix, token, at = KEYS[1], ARGV[1], 1
local function text() at = at + 1; return ARGV[at] end
local function number() return tonumber(text()) end
-- As many arguments as Lua can hand over at once.
local function many(command, key)
  local count = number()
  local stop = at + count
  while at < stop do
    local last = math.min(at + 5000, stop)
    if key then redis.call(command, key, unpack(ARGV, at + 1, last))
    else redis.call(command, unpack(ARGV, at + 1, last)) end
    at = last
  end
end

local contested = number()
local is_line = contested > 0 and redis.call('EXISTS', prefix .. 'line') == 1
for n = 1, number() do
  local key, version = text(), text()
  if redis.call('GETRANGE', key, 0, 15) ~= version then return 0 end
  if is_line and n <= contested then
    local first = redis.call('ZRANGE', prefix .. 'turn:' .. key, 0, 0)[1]
    if first and first ~= token then return 0 end
  end
end
if at == #ARGV then return 1 end

-- Higher than any before, even where the server has lost what it acknowledged last.
local clock = redis.call('TIME')
local last = tonumber(redis.call('GET', prefix .. 'version') or '0')
local version = string.format('%016.0f', math.max(last + 1, clock[1] * 1000000 + clock[2]))
redis.call('SET', prefix .. 'version', version)
for _ = 1, number() do
  local key, value, lasts = text(), text(), text()
  if lasts == '' then redis.call('SET', key, version .. value)
  else redis.call('SET', key, version .. value, 'PX', lasts) end
end
many('DEL')
for _ = 1, number() do
  local index = text()
  many('ZREM', index)
  many('ZADD', index)
end

-- The places of what has gone by itself.
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
for _ = 1, number() do
  local lasts = number()
  redis.call('ZADD', prefix .. 'expiring', now + lasts + 1000, text())
end
for _, each in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now, 'LIMIT', 0, 20)) do
  local key, places = unpack(cjson.decode(each))
  if redis.call('EXISTS', key) == 0 then
    for _, place in ipairs(places) do redis.call('ZREM', place[1], place[2]) end
  end
  redis.call('ZREM', prefix .. 'expiring', each)
end
return version
"""

#: KEYS: the index. ARGV: the documents' prefix, the bounds, whether in reverse, how many, of how many characters.
#: Gives a few texts, as a client takes long to read many, and copies each: of each found the lengths of its place and
#: itself, and both.
SCAN = r"""
local index, documents = KEYS[1], ARGV[1]
local low, high, reverse = ARGV[2], ARGV[3], ARGV[4] == '1'
local left, size, found, length, texts = tonumber(ARGV[5]), tonumber(ARGV[6]), {}, 0, {}
local function cut()
  texts[#texts + 1] = table.concat(found)
  found, length = {}, 0
end
while true do
  local page, members = math.min(left, 500), nil
  if reverse then members = redis.call('ZREVRANGEBYLEX', index, high, low, 'LIMIT', 0, page)
  else members = redis.call('ZRANGEBYLEX', index, low, high, 'LIMIT', 0, page) end
  for _, member in ipairs(members) do
    local _, stop = string.find(member, '\0\0', 1, true)
    local value = redis.call('GET', documents .. string.sub(member, stop + 1))
    if value then
      found[#found + 1] = string.format('%08d%08d', #member, #value)
      found[#found + 1] = member
      found[#found + 1] = value
      left, length = left - 1, length + #value
      size = size - tonumber(string.sub(value, 25, 32))
      if length > 65536 or left == 0 or size <= 0 then cut() end
      if left == 0 or size <= 0 then return texts end
    end
  end
  if #members < page then
    cut()
    return texts
  end
  if reverse then high = '(' .. members[#members] else low = '(' .. members[#members] end
end
"""

#: Stands in the lines at some keys, all at once, and says how many come first. KEYS: the prefix. ARGV: the token, keys.
STAND = r"""
local prefix, token, clock, before = KEYS[1], ARGV[1], redis.call('TIME'), 0
redis.call('SET', prefix .. 'line', 1, 'PX', 5000)
redis.call('SET', prefix .. 'waits:' .. token, 1, 'PX', 1500)
for n = 2, #ARGV do
  local line = prefix .. 'turn:' .. ARGV[n]
  redis.call('ZADD', line, 'NX', clock[1] * 1000000 + clock[2], token)
  redis.call('PEXPIRE', line, 10000)
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  while first ~= token and redis.call('EXISTS', prefix .. 'waits:' .. first) == 0 do
    redis.call('ZREM', line, first)
    first = redis.call('ZRANGE', line, 0, 0)[1]
  end
  before = math.max(before, redis.call('ZRANK', line, token))
end
return before
"""

#: Leaves the lines, and wakes those who come first now. KEYS and ARGV as above.
LEAVE = r"""
local prefix, token = KEYS[1], ARGV[1]
redis.call('DEL', prefix .. 'waits:' .. token, prefix .. 'wake:' .. token)
for n = 2, #ARGV do
  local line = prefix .. 'turn:' .. ARGV[n]
  redis.call('ZREM', line, token)
  local first = redis.call('ZRANGE', line, 0, 0)[1]
  if first then
    redis.call('RPUSH', prefix .. 'wake:' .. first, 1)
    redis.call('PEXPIRE', prefix .. 'wake:' .. first, 5000)
  end
end
"""
