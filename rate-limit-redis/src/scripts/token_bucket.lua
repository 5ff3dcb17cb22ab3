-- The token bucket. State: the instant at which it is full again.
-- Asked: the time to full, the time that the units cost.
-- Nearly every decision comes this way, so short functions are written out here and not called.

-- Where taking would move the instant.
local to_s, to_n

function touch(k, rule)
    if not rule_of[k] then
        rule_of[k] = rule
        changes = changes + 1
        changed[changes] = k
    end
end

local bucket = {}
rules[1] = bucket

function bucket.read(asked, term)
    local full_s, full_n, cost_s, cost_n = parse('>I4I4I4I4', term, 3)
    local s, n = now_s + full_s, now_n + full_n
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    -- The latest instant at which a bucket can be full again.
    asked.latest_s, asked.latest_n, asked.cost_s, asked.cost_n = s, n, cost_s, cost_n
end

function bucket.fits(k, asked)
    local s, n, latest_s, latest_n = at_s[k], at_n[k], asked.latest_s, asked.latest_n
    if not s then
        local value = values[k]
        if not value then
            values[k] = ABSENT
            s, n = now_s, now_n
        elseif #value == 8 then
            local high, low = parse('>I4I4', value)
            n = low % GIBI
            s = high * 4 + (low - n) / GIBI
        end
        if not s or n >= BILLION then
            values[k] = CORRUPT
            s, n = latest_s + 1, 0
        end
        at_s[k], at_n[k] = s, n
    end
    if s > latest_s or s == latest_s and n > latest_n then
        -- Impossible: full debt from now on, written down also if the request is denied.
        s, n = latest_s, latest_n
        at_s[k], at_n[k] = s, n
        touch(k, bucket)
    end
    if s < now_s or s == now_s and n < now_n then
        s, n = now_s, now_n
    end
    s, n = s + asked.cost_s, n + asked.cost_n
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    to_s, to_n = s, n
    return s < latest_s or s == latest_s and n <= latest_n
end

-- Follows `fits` for the same key.
function bucket.take(k)
    at_s[k], at_n[k] = to_s, to_n
    touch(k, bucket)
end

function bucket.save(k)
    local s, n = at_s[k], at_n[k]
    local ms = (s - now_s) * 1000 + (n - now_n) / 1000000 + spare
    if ms < 1 then
        ms = 1
    end
    local low = s % 4
    local value = pack('>I4I4', (s - low) / 4, low * GIBI + n)
    call('SET', KEYS[k], value, 'PX', format('%d', ms))
end
