-- What every script begins with: the time, the states, and how instants are written.
--
-- KEYS     the keys of all buckets and ladders, each once
-- ARGV[1]  the time, two instants (monotonic, UTC); empty: the server's own
--
-- Numbers in Lua are doubles and exact up to 2^53 only, so an instant or a duration is a pair:
-- whole seconds, and nanoseconds below one billion. A stored instant has 8 bytes: 34 bits of
-- seconds, 30 bits of nanoseconds.

local byte, concat, format, sub = string.byte, table.concat, string.format, string.sub
local pack, parse = struct.pack, struct.unpack
local call = redis.call
local BILLION, GIBI = 1000000000, 1073741824

local function instant(s, n)
    local low = s % 4
    return pack('>I4I4', (s - low) / 4, low * GIBI + n)
end

-- No nanoseconds if the eight bytes at `from` are no instant.
local function instant_at(bytes, from)
    local high, low = parse('>I4I4', bytes, from)
    local n = low % GIBI
    if n >= BILLION then
        return 0
    end
    return high * 4 + (low - n) / GIBI, n
end

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
    now_s, now_n = instant_at(ARGV[1], 1)
    utc_s, utc_n = instant_at(ARGV[1], 9)
end

-- All reads before the first write. A key that holds something else than a string reads as absent
-- and is replaced by the next write.
local values = call('MGET', unpack(KEYS))

-- The states, by key: an instant, and up to two counts.
local at_s, at_n, count, older = {}, {}, {}, {}
-- What a charge or a correction asks for, by its number.
local a, b, c, d = {}, {}, {}, {}
-- By kind of state.
local read, fits, take, save = {}, {}, {}, {}
-- Of the parts that a call needs only sometimes.
local read_ladder, banned, strike, summarize

-- Which keys have to be written, and of what kind they are.
local kind_of, changed, changes = {}, {}, 0
local function touch(k, kind)
    if not kind_of[k] then
        kind_of[k] = kind
        changes = changes + 1
        changed[changes] = k
    end
end

-- Value and time to live in one write.
local function put(k, value, ms)
    if ms < 1 then
        ms = 1
    end
    call('SET', KEYS[k], value, 'PX', format('%d', ms))
end

-- Where states are absent or corrupt, the answer says so: instants cannot have these nanoseconds.
local ABSENT, CORRUPT = '\255\255\255\255\255\255\255\255', '\255\255\255\255\255\255\255\254'
