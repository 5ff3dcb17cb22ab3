-- The token bucket. State: the instant at which it is full again.
-- Asked: the time to full, the time that the units cost.
-- Nearly every decision comes this way, so short functions are written out here and not called.

local BUCKET = 1

read[BUCKET] = function(t, term)
    local full_s, full_n, cost_s, cost_n = parse('>I4I4I4I4', term, 3)
    local s, n = now_s + full_s, now_n + full_n
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    -- The latest instant at which a bucket can be full again.
    a[t], b[t], c[t], d[t] = s, n, cost_s, cost_n
end

-- Where taking would move the instant.
local to_s, to_n

fits[BUCKET] = function(k, t)
    local s, n, latest_s, latest_n = at_s[k], at_n[k], a[t], b[t]
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
        touch(k, BUCKET)
    end
    if s < now_s or s == now_s and n < now_n then
        s, n = now_s, now_n
    end
    s, n = s + c[t], n + d[t]
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    to_s, to_n = s, n
    return s < latest_s or s == latest_s and n <= latest_n
end

take[BUCKET] = function(k)
    at_s[k], at_n[k] = to_s, to_n
    if not kind_of[k] then
        kind_of[k] = BUCKET
        changes = changes + 1
        changed[changes] = k
    end
end

save[BUCKET] = function(k)
    local s, n = at_s[k], at_n[k]
    local ms = (s - now_s) * 1000 + (n - now_n) / 1000000 + spare
    if ms < 1 then
        ms = 1
    end
    local low = s % 4
    local value = pack('>I4I4', (s - low) / 4, low * GIBI + n)
    call('SET', KEYS[k], value, 'PX', format('%d', ms))
end
