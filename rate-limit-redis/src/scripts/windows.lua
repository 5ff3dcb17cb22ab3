-- Windows. State: the instant at which the window began and the units taken in it; a sliding
-- window also keeps the units taken in the window before.
-- Asked: the length, the limit, the units.

local count, older, length_s, length_n = {}, {}, {}, {}

local function read_window(asked, term)
    asked.length_s, asked.length_n, asked.limit, asked.units = parse('>I4I4I4I4', term, 3)
end

-- The time since the window of `k` began, if it began in the past.
local function elapsed(k, base_s, base_n)
    local s, n = base_s - at_s[k], base_n - at_n[k]
    if n < 0 then
        s, n = s - 1, n + BILLION
    end
    return s, n
end

local function left_ms(k, windows, base_s, base_n)
    local s, n = at_s[k] + windows * length_s[k], at_n[k] + windows * length_n[k]
    return (s - base_s) * 1000 + (n - base_n) / 1000000 + spare
end

local function fixed(is_aligned, base_s, base_n)
    local window = {}

    local function begin(k)
        local s, n = base_s, base_n
        if is_aligned then
            -- Lengths divide a day, and the nanoseconds of a day are exact.
            local ws, wn = length_s[k], length_n[k]
            local day_s = base_s % 86400
            local into = (day_s * BILLION + base_n) % (ws * BILLION + wn)
            local into_n = into % BILLION
            s, n = s - (into - into_n) / BILLION, n - into_n
            if n < 0 then
                s, n = s - 1, n + BILLION
            end
        end
        at_s[k], at_n[k], count[k] = s, n, 0
    end

    local function bring_up_to_date(k, asked)
        if not at_s[k] then
            local value = values[k]
            length_s[k], length_n[k] = asked.length_s, asked.length_n
            if not value then
                values[k] = ABSENT .. '\0\0\0\0'
                return begin(k)
            end
            if #value == 12 then
                at_s[k], at_n[k] = instant_at(value, 1)
                count[k] = parse('>I4', value, 9)
            end
            if not at_n[k] then
                values[k] = CORRUPT .. '\0\0\0\0'
                at_s[k], at_n[k], count[k] = base_s, base_n, asked.limit
                return touch(k, window)
            end
        end
        if count[k] == 0 then
            -- Nothing is used: as good as no state.
            return begin(k)
        end
        local s, n = elapsed(k, base_s, base_n)
        if s < 0 then
            -- The clock was set back: the window starts over and keeps what was used.
            at_s[k], at_n[k] = base_s, base_n
            touch(k, window)
        elseif s > length_s[k] or s == length_s[k] and n >= length_n[k] then
            begin(k)
        end
    end

    window.read = read_window

    function window.room(k, asked)
        return asked.limit - count[k]
    end

    function window.fits(k, asked)
        bring_up_to_date(k, asked)
        return asked.units == 0 or asked.units <= asked.limit - count[k]
    end

    function window.take(k, units)
        if count[k] == 0 and not is_aligned then
            at_s[k], at_n[k] = base_s, base_n
        end
        count[k] = count[k] + units
        touch(k, window)
    end

    function window.save(k)
        local value = instant(at_s[k], at_n[k]) .. pack('>I4', count[k])
        put(k, value, left_ms(k, count[k] == 0 and 0 or 1, base_s, base_n))
    end

    return window
end

local from_first_request = fixed(false, now_s, now_n)
local aligned = fixed(true, utc_s, utc_n)
rules[2], rules[3] = from_first_request, aligned

-- `times` times a duration, as three digits to the base of one billion: products have up to 94
-- bits. `times` is below 2^32.
local function multiply(times, s, n)
    local low = times % 65536
    local high = (times - low) / 65536
    local product = high * n
    local rest = product % BILLION
    local sum = rest * 65536 + low * n
    local digit0 = sum % BILLION
    local digit1 = (product - rest) / BILLION * 65536 + (sum - digit0) / BILLION
    product = high * s
    rest = product % BILLION
    sum = rest * 65536 + low * s
    local part = sum % BILLION
    local digit2 = (product - rest) / BILLION * 65536 + (sum - part) / BILLION
    digit1 = digit1 + part
    part = digit1 % BILLION
    return digit2 + (digit1 - part) / BILLION, part, digit0
end

-- Whether `times` times one duration is at least `others` times another.
local function at_least(times, s, n, others, other_s, other_n)
    local x2, x1, x0 = multiply(times, s, n)
    local y2, y1, y0 = multiply(others, other_s, other_n)
    if x2 ~= y2 then
        return x2 > y2
    end
    if x1 ~= y1 then
        return x1 > y1
    end
    return x0 >= y0
end

-- Units that count now: those of the present window, and those of the one before as far as they
-- have not slid out, rounded up.
local function usage(k)
    local before = older[k]
    if before == 0 then
        return count[k]
    end
    local ws, wn = length_s[k], length_n[k]
    local s, n = elapsed(k, now_s, now_n)
    s, n = ws - s, wn - n
    if n < 0 then
        s, n = s - 1, n + BILLION
    end
    -- Doubles guess, to one unit; whole numbers decide.
    local guess = math.ceil(before * ((s + n / BILLION) / (ws + wn / BILLION)))
    while not at_least(guess, ws, wn, before, s, n) do
        guess = guess + 1
    end
    while guess > 0 and at_least(guess - 1, ws, wn, before, s, n) do
        guess = guess - 1
    end
    return count[k] + guess
end

local sliding = {}
rules[4] = sliding
sliding.read = read_window

function sliding.fits(k, asked)
    if not at_s[k] then
        local value = values[k]
        length_s[k], length_n[k] = asked.length_s, asked.length_n
        if not value then
            values[k] = ABSENT .. '\0\0\0\0\0\0\0\0'
            at_s[k], at_n[k], count[k], older[k] = now_s, now_n, 0, 0
        else
            if #value == 12 then
                at_s[k], at_n[k] = instant_at(value, 1)
                count[k], older[k] = parse('>I2I2', value, 9)
                values[k] = sub(value, 1, 8) .. pack('>I4I4', count[k], older[k])
            elseif #value == 16 then
                at_s[k], at_n[k] = instant_at(value, 1)
                count[k], older[k] = parse('>I4I4', value, 9)
            end
            if not at_n[k] then
                values[k] = CORRUPT .. '\0\0\0\0\0\0\0\0'
                at_s[k], at_n[k], count[k], older[k] = now_s, now_n, asked.limit, 0
                touch(k, sliding)
            end
        end
        local s, n = elapsed(k, now_s, now_n)
        local ws, wn = length_s[k], length_n[k]
        if s < 0 then
            at_s[k], at_n[k] = now_s, now_n
            touch(k, sliding)
        elseif s > ws or s == ws and n >= wn then
            s, n = s - ws, n - wn
            if n < 0 then
                s, n = s - 1, n + BILLION
            end
            older[k], count[k] = count[k], 0
            if older[k] == 0 or s > ws or s == ws and n >= wn then
                at_s[k], at_n[k], older[k] = now_s, now_n, 0
            else
                s, n = at_s[k] + ws, at_n[k] + wn
                if n >= BILLION then
                    s, n = s + 1, n - BILLION
                end
                at_s[k], at_n[k] = s, n
            end
        end
    end
    return asked.units == 0 or asked.units <= asked.limit - usage(k)
end

function sliding.room(k, asked)
    return asked.limit - usage(k)
end

function sliding.take(k, units)
    if count[k] == 0 and older[k] == 0 then
        at_s[k], at_n[k] = now_s, now_n
    end
    count[k] = count[k] + units
    touch(k, sliding)
end

function sliding.save(k)
    local present, before, windows = count[k], older[k], 2
    if present == 0 then
        windows = before == 0 and 0 or 1
    end
    -- Short counts keep the value within a smaller size class of the server's allocator.
    local form = present < 65536 and before < 65536 and '>I2I2' or '>I4I4'
    local value = instant(at_s[k], at_n[k]) .. pack(form, present, before)
    put(k, value, left_ms(k, windows, now_s, now_n))
end
