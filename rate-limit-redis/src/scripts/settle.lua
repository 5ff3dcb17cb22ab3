-- Carries out corrections, each by itself and without a test.
--
-- ARGV[2..]  one for each correction: kind, flags (1 adds, 2 adds more than can ever fit), what the
--            kind asks for, the key in two bytes, the mark of the charge, and its units, of a bucket
--            the time that they cost
--
-- Answers the time, for each correction of a log how many units it returned or took in two bytes,
-- and the states that were read.

-- The shorter of two durations.
local function shorter(s, n, other_s, other_n)
    if s < other_s or s == other_s and n < other_n then
        return s, n
    end
    return other_s, other_n
end

-- How much longer or later the first is than the second; zero if it is not.
local function beyond(s, n, than_s, than_n)
    s, n = s - than_s, n - than_n
    if n < 0 then
        s, n = s - 1, n + BILLION
    end
    if s < 0 then
        return 0, 0
    end
    return s, n
end

function bucket.refund(k, asked, mark_s, mark_n, charged_s, charged_n)
    local s, n = beyond(charged_s, charged_n, beyond(now_s, now_n, mark_s, mark_n))
    s, n = shorter(s, n, asked.cost_s, asked.cost_n)
    s, n = shorter(s, n, beyond(at_s[k], at_n[k], now_s, now_n))
    if s > 0 or n > 0 then
        at_s[k], at_n[k] = beyond(at_s[k], at_n[k], s, n)
        touch(k, bucket)
    end
end

local function give_back(k, rule, counts, asked, charged)
    local returned = math.min(asked.units, charged, counts[k])
    if returned > 0 then
        counts[k] = counts[k] - returned
        touch(k, rule)
    end
end

local function refund_window(rule)
    function rule.refund(k, asked, mark_s, mark_n, charged)
        if at_s[k] == mark_s and at_n[k] == mark_n then
            return give_back(k, rule, count, asked, charged)
        end
        local s, n = mark_s + length_s[k], mark_n + length_n[k]
        if n >= BILLION then
            s, n = s + 1, n - BILLION
        end
        if rule == sliding and at_s[k] == s and at_n[k] == n then
            give_back(k, rule, older, asked, charged)
        end
    end
end

refund_window(from_first_request)
refund_window(aligned)
refund_window(sliding)

-- The units of an entry that are given back.
function log.refund(k, asked, mark_s, mark_n, charged)
    local most = math.min(asked.units, charged)
    if units_now[k] > 0 and mark_s == now_s and mark_n == now_n then
        local returned = math.min(most, units_now[k])
        units_now[k] = units_now[k] - returned
        return returned
    end
    -- The newest entry of that instant: a step of the clock can have brought older ones there.
    local bytes = entries[k]
    local low, high = 0, #bytes / ENTRY
    while low < high do
        local middle = math.floor((low + high) / 2)
        local s, n = entry_at(bytes, middle)
        if s < mark_s or s == mark_s and n <= mark_n then
            low = middle + 1
        else
            high = middle
        end
    end
    local s, n, units
    if low > 0 then
        s, n, units = entry_at(bytes, low - 1)
    end
    if s ~= mark_s or n ~= mark_n then
        return 0
    end
    local returned, kept = math.min(most, units), ''
    if returned < units then
        kept = sub(bytes, low * ENTRY - ENTRY + 1, low * ENTRY - 2) .. pack('>I2', units - returned)
    end
    entries[k] = sub(bytes, 1, (low - 1) * ENTRY) .. kept .. sub(bytes, low * ENTRY + 1)
    return returned
end

local results = {}
for t = 1, #ARGV - 1 do
    local term = ARGV[t + 1]
    local kind, flags = byte(term, 1, 2)
    local rule, k, asked = rules[kind], parse('>I2', term, 19), {}
    rule.read(asked, term)
    if rule ~= log then
        rule.fits(k, asked)
    elseif not entries[k] then
        load_log(k, asked)
    end
    if flags == 0 then
        local mark_s, mark_n = instant_at(term, 21)
        local returned = rule.refund(k, asked, mark_s, mark_n, parse('>I4I4', term, 29))
        if rule == log then
            if returned > 0 then
                count[k] = count[k] - returned
                touch(k, log)
            end
            results[#results + 1] = pack('>I2', returned)
        end
    elseif rule == bucket then
        if flags < 2 and bucket.fits(k, asked) then
            bucket.take(k)
        else
            at_s[k], at_n[k] = asked.latest_s, asked.latest_n
            touch(k, bucket)
        end
    else
        local taken = math.max(0, math.min(asked.units, rule.room(k, asked)))
        if taken > 0 then
            rule.take(k, taken)
        end
        if rule == log then
            results[#results + 1] = pack('>I2', taken)
        end
    end
end

for k in pairs(read_entries) do
    values[k] = ''
end
for i = 1, changes do
    local k = changed[i]
    rule_of[k].save(k)
end

return instant(now_s, now_n) .. concat(results) .. concat(values)
