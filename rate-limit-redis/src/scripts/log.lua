-- The sliding log. State: the sum of all units in two bytes, then the entries, oldest first, ten
-- bytes each: the instant, and the units taken then. What has expired is dropped from the front,
-- what is taken is added at the end, and what lies between is copied and not looked at.
-- Asked: the length of the window, the limit, the units.

local ENTRY = 10
local log = {}
rules[5] = log
-- By key: the entries except one of this very instant, and the units of that one. Then what was
-- read: the entries, their sum, and how many of the first ones tell the longest wait.
local entries, units_now, read_entries, read_used, needed = {}, {}, {}, {}, {}

local function entry_at(bytes, number)
    local from = number * ENTRY + 1
    local s, n = instant_at(bytes, from)
    return s, n, parse('>I2', bytes, from + 8)
end

local function log_in_full_debt(k, limit)
    entries[k], units_now[k], count[k] = '', limit, limit
    read_entries[k] = instant(now_s, now_n) .. pack('>I2', limit)
    read_used[k], needed[k] = limit, 1
    touch(k, log)
end

-- How many entries are one window old, and their units; nothing if an entry is none.
local function expired(k, bytes, total)
    local sum = 0
    for number = 0, total - 1 do
        local s, n, units = entry_at(bytes, number)
        if not n then
            return nil
        end
        s, n = now_s - s, now_n - n
        if n < 0 then
            s, n = s - 1, n + BILLION
        end
        if s < length_s[k] or s == length_s[k] and n < length_n[k] then
            return number, sum
        end
        sum = sum + units
    end
    return total, sum
end

-- Brings entries from the future to this instant. There may be thousands, so they are joined once:
-- adding one after the other would copy all of them each time.
local function bring_back(k, bytes, total)
    local first = total
    while first > 0 do
        local s, n = entry_at(bytes, first - 1)
        if n and (s < now_s or s == now_s and n <= now_n) then
            break
        end
        first = first - 1
    end
    if first == total then
        return bytes
    end
    touch(k, log)
    local now, moved = instant(now_s, now_n), {}
    for number = first + 1, total do
        moved[number - first] = now .. sub(bytes, number * ENTRY - 1, number * ENTRY)
    end
    return sub(bytes, 1, first * ENTRY) .. concat(moved)
end

local function load_log(k, asked)
    local value = values[k]
    length_s[k], length_n[k], needed[k] = asked.length_s, asked.length_n, 0
    if not value then
        entries[k], units_now[k], count[k], read_entries[k], read_used[k] = '', 0, 0, '', 0
        return
    end
    local total = (#value - 2) / ENTRY
    if total < 0 or total % 1 ~= 0 then
        return log_in_full_debt(k, asked.limit)
    end
    local bytes = sub(value, 3)
    local gone, sum = expired(k, bytes, total)
    if not gone then
        return log_in_full_debt(k, asked.limit)
    end
    local used = parse('>I2', value) - sum
    total = total - gone
    if total == 0 then
        used = 0
    elseif used < total then
        return log_in_full_debt(k, asked.limit)
    end
    if gone > 0 then
        bytes = sub(bytes, gone * ENTRY + 1)
    end
    bytes = bring_back(k, bytes, total)
    read_entries[k], read_used[k], units_now[k], count[k] = bytes, used, 0, used
    if total > 0 then
        local s, n = entry_at(bytes, 0)
        if s > now_s or s == now_s and n > now_n then
            -- Entries out of order: nobody can tell when they end.
            return log_in_full_debt(k, asked.limit)
        end
        local units
        s, n, units = entry_at(bytes, total - 1)
        if s == now_s and n == now_n then
            bytes, units_now[k] = sub(bytes, 1, -ENTRY - 1), units
        end
    end
    entries[k] = bytes
end

-- How many entries have to expire until `excess` units are gone, and their units.
local function until_gone(bytes, excess)
    local number, sum, total = 0, 0, #bytes / ENTRY
    while sum < excess and number < total do
        local _, _, units = entry_at(bytes, number)
        number, sum = number + 1, sum + units
    end
    return number, sum
end

log.read = read_window

function log.fits(k, asked)
    if not entries[k] then
        load_log(k, asked)
    end
    local excess = count[k] + asked.units - asked.limit
    if asked.units == 0 or excess <= 0 then
        return true
    end
    local number, sum = until_gone(read_entries[k], excess)
    if sum > read_used[k] then
        -- The entries say more than their sum.
        log_in_full_debt(k, asked.limit)
    elseif number > needed[k] then
        needed[k] = number
    end
    return false
end

function log.room(k, asked)
    return asked.limit - count[k]
end

function log.take(k, units)
    units_now[k], count[k] = units_now[k] + units, count[k] + units
    touch(k, log)
end

function log.save(k)
    local bytes = entries[k]
    if units_now[k] > 0 then
        bytes = bytes .. instant(now_s, now_n) .. pack('>I2', units_now[k])
    end
    local ms = 0
    if bytes ~= '' then
        at_s[k], at_n[k] = entry_at(bytes, #bytes / ENTRY - 1)
        ms = left_ms(k, 1, now_s, now_n)
    end
    put(k, pack('>I2', count[k]) .. bytes, ms)
end

-- A log may be long. The answer holds the oldest entries, as many as tell the longest wait, and all
-- others as one.
function summarize()
    for k, bytes in pairs(read_entries) do
        local number = needed[k]
        local _, sum = until_gone(sub(bytes, 1, number * ENTRY), read_used[k])
        local rest, oldest = read_used[k] - sum, sub(bytes, 1, number * ENTRY)
        if rest > 0 then
            number = number + 1
            oldest = oldest .. sub(bytes, -ENTRY, -3) .. pack('>I2', rest)
        end
        values[k] = pack('>I2', number) .. oldest
    end
end
