-- What every script begins with: the time, and the states as they are read.
--
-- KEYS     the keys of all buckets and ladders, each once
-- ARGV[1]  the time: seconds in 5 bytes and nanoseconds in 4, monotonic and UTC; empty: the server's
--
-- Numbers in Lua are doubles and exact up to 2^53 only, so an instant or a duration is a pair:
-- whole seconds, and nanoseconds below one billion. A stored instant has 8 bytes: 34 bits of
-- seconds, 30 bits of nanoseconds.
--
-- The server runs a script from its first line in every call, so what only some calls need stands
-- in other files, and tables are made where they are needed.

local byte, format, pack, parse = string.byte, string.format, struct.pack, struct.unpack
local concat, call = table.concat, redis.call
local BILLION, GIBI = 1000000000, 1073741824

-- How many milliseconds a key outlives the debt in it. The server compares whole milliseconds of a
-- clock that it read when the script began.
local spare = 2
local now_s, now_n, utc_s, utc_n
if ARGV[1] == '' then
    local time = call('TIME')
    now_s, now_n = tonumber(time[1]), time[2] * 1000
    utc_s, utc_n = now_s, now_n
else
    -- A test stops the clock, but the server's own runs on and must not expire the keys.
    spare = 3600000
    now_s, now_n, utc_s, utc_n = parse('>I5I4I5I4', ARGV[1])
end

-- All reads before the first write. A key that holds something else than a string reads as absent
-- and is replaced by the next write.
local values = call('MGET', unpack(KEYS))

-- The instant in the state of each key.
local at_s, at_n = {}, {}

-- By which rule each key was read for somebody who takes; which keys have to be written, and by
-- which rule.
local read_by, rule_of, changed, changes = {}, {}, {}, 0

-- What can be done with each kind of state: `read` what a charge or a correction asks for, tell
-- whether it `fits`, `take` it, `save` the state.
local rules = {}

-- What only some calls need.
local touch, read_ladder, banned, strike, summarize

-- Where states are absent or corrupt, the answer says so: instants cannot have these nanoseconds.
local ABSENT, CORRUPT = '\255\255\255\255\255\255\255\255', '\255\255\255\255\255\255\255\254'
