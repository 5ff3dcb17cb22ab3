-- Instants in stored values, and writing them. The token bucket has both written out.

local sub = string.sub

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

-- Value and time to live in one write.
local function put(k, value, ms)
    if ms < 1 then
        ms = 1
    end
    call('SET', KEYS[k], value, 'PX', format('%d', ms))
end
