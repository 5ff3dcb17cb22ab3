-- Decides requests that are all alike, each all or nothing: the same policies of token buckets
-- without penalty ladders, the same units, and no key in two of them. Nearly every call is of that
-- kind, so this does what `decide.lua` does with fewer tables and calls, which are what a script
-- costs.
--
-- KEYS     the keys of the first request, in the order of its charges, then those of the next one
-- ARGV[1]  the time, as in `prelude.lua`
-- ARGV[2]  the charges of one request, 17 bytes each: flags as in `decide.lua`, the time to full, the
--          time that the units cost
--
-- Answers the time, a verdict for each charge and the states that were read.

local call, pack, parse, format = redis.call, struct.pack, struct.unpack, string.format
local byte = string.byte
local keys, values = KEYS, redis.call('MGET', unpack(KEYS))
local BILLION, GIBI = 1000000000, 1073741824

local spare, now_s, now_n = 2, nil, nil
if ARGV[1] == '' then
    local time = call('TIME')
    now_s, now_n = tonumber(time[1]), time[2] * 1000
else
    spare, now_s, now_n = 3600000, parse('>I5I4', ARGV[1])
end

local low = now_s % 4
local now = pack('>I4I4', (now_s - low) / 4, low * GIBI + now_n)

local halves, text
local function put(k, s, n)
    -- The time to live in half seconds, rounded up: keys that end together share the text.
    local ms = (s - now_s) * 1000 + (n - now_n) / 1000000 + spare
    local needed = ms < 0 and 1 or (ms - ms % 500) / 500 + 1
    if needed ~= halves then
        halves, text = needed, format('%d', needed * 500)
    end
    local low = s % 4
    -- The server uses an argument of one call again in the next, and SET would keep this instant in
    -- the room of the second key of MGET: twice of what it needs. PSETEX has its value elsewhere.
    call('PSETEX', keys[k], text, pack('>I4I4', (s - low) / 4, low * GIBI + n))
end

-- Of each charge: flags, the latest instant at which its bucket can be full again, the cost.
local width = #ARGV[2] / 17
local terms = { parse('>' .. string.rep('BI4I4I4I4', width), ARGV[2]) }
for i = 1, width * 5, 5 do
    local s, n = now_s + terms[i + 1], now_n + terms[i + 2]
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    terms[i + 1], terms[i + 2] = s, n
end

local verdicts
-- Where each charge of a request would move its bucket; false if it would not.
local to = {}
for before = 0, #keys - 1, width do
    local allowed, k = true, before
    for i = 1, width * 5, 5 do
        k = k + 1
        local flags, latest_s, latest_n = terms[i], terms[i + 1], terms[i + 2]
        local at_s, at_n = now_s, now_n
        local value = values[k]
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
                at_s, at_n = latest_s, latest_n
                put(k, at_s, at_n)
            elseif at_s < now_s or at_s == now_s and at_n < now_n then
                at_s, at_n = now_s, now_n
            end
        end
        local s, n = at_s + terms[i + 3], at_n + terms[i + 4]
        if n >= BILLION then
            s, n = s + 1, n - BILLION
        end
        if flags < 4 and (s < latest_s or s == latest_s and n <= latest_n) then
            to[i], to[i + 1] = flags >= 2 and s, n
        else
            to[i] = false
            verdicts = verdicts or {}
            verdicts[k] = '0'
            if flags % 2 == 1 then
                allowed = false
            end
            if value and call('PTTL', keys[k]) == -1 then
                -- Deprived of its time to live, which whatever is written has.
                put(k, at_s, at_n)
            end
        end
    end
    if allowed then
        k = before
        for i = 1, width * 5, 5 do
            k = k + 1
            if to[i] then
                put(k, to[i], to[i + 1])
            end
        end
    else
        k = before
        for i = 1, width * 5, 5 do
            k = k + 1
            -- The other buckets of whoever was denied are not written and may lack one as well.
            if to[i] and byte(values[k], 1) ~= 255 and call('PTTL', keys[k]) == -1 then
                local s, bits = parse('>I4I4', values[k])
                local n = bits % GIBI
                put(k, s * 4 + (bits - n) / GIBI, n)
            end
        end
    end
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
