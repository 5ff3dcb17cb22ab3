-- Decides requests of one charge each that are all alike: the same policy of a token bucket without
-- penalty ladder, the same units, and no key in two of them. What most calls ask for, so this does
-- what `alike.lua` does without a table, a closure or a second look at anything.
--
-- KEYS     the key of each request
-- ARGV[1]  the time, as in `prelude.lua`
-- ARGV[2]  the charge, as in `alike.lua`
--
-- Answers the time, a verdict for each request and the states that were read.

local call, pack, parse, keys = redis.call, struct.pack, struct.unpack, KEYS
local values = call('MGET', unpack(keys))
local BILLION, GIBI = 1000000000, 1073741824

local spare, now_s, now_n = 2, nil, nil
if ARGV[1] == '' then
    local time = call('TIME')
    -- Reckoning with a text makes a number of it.
    now_s, now_n = time[1] + 0, time[2] * 1000
else
    spare, now_s, now_n = 3600000, parse('>I5I4', ARGV[1])
end

-- The latest instant at which a bucket can be full again, and what the units cost.
local flags, latest_s, latest_n, cost_s, cost_n = parse('>BI4I4I4I4', ARGV[2])
latest_s, latest_n = now_s + latest_s, now_n + latest_n
if latest_n >= BILLION then
    latest_s, latest_n = latest_s + 1, latest_n - BILLION
end

local verdicts, lasting, text
for k = 1, #keys do
    local at_s, at_n, value, writes = now_s, now_n, values[k], false
    if not value then
        values[k] = '\255\255\255\255\255\255\255\255'
    else
        local bits
        if #value == 8 then
            at_s, bits = parse('>I4I4', value)
            at_n = bits % GIBI
            at_s = at_s * 4 + (bits - at_n) / GIBI
        end
        if not bits or at_n >= BILLION then
            values[k] = '\255\255\255\255\255\255\255\254'
            at_s, at_n = latest_s + 1, 0
        end
        if at_s > latest_s or at_s == latest_s and at_n > latest_n then
            -- Impossible: full debt from now on, written down also if the request is denied.
            at_s, at_n, writes = latest_s, latest_n, true
        elseif at_s < now_s or at_s == now_s and at_n < now_n then
            at_s, at_n = now_s, now_n
        end
    end
    local s, n = at_s + cost_s, at_n + cost_n
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    if flags < 4 and (s < latest_s or s == latest_s and n <= latest_n) then
        if flags >= 2 then
            at_s, at_n, writes = s, n, true
        end
    else
        verdicts = verdicts or {}
        verdicts[k] = '0'
        -- Deprived of its time to live, which whatever is written has.
        writes = writes or value and call('PTTL', keys[k]) == -1
    end
    if writes then
        -- The time to live in half seconds, rounded up: keys that end together share the text.
        local ms = (at_s - now_s) * 1000 + (at_n - now_n) / 1000000 + spare
        local needed = ms < 0 and 500 or ms - ms % 500 + 500
        if needed ~= lasting then
            lasting, text = needed, string.format('%d', needed)
        end
        local low = at_s % 4
        -- Why it is not SET stands in `alike.lua`.
        call('PSETEX', keys[k], text, pack('>I4I4', (at_s - low) / 4, low * GIBI + at_n))
    end
end

local low = now_s % 4
local now = pack('>I4I4', (now_s - low) / 4, low * GIBI + now_n)
if #keys == 1 then
    return now .. (verdicts and '0' or '1') .. values[1]
end
if verdicts then
    for k = 1, #keys do
        verdicts[k] = verdicts[k] or '1'
    end
    verdicts = table.concat(verdicts)
else
    verdicts = string.rep('1', #keys)
end
return now .. verdicts .. table.concat(values)
