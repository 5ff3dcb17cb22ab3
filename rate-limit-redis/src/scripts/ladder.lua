-- The penalty ladder. State: strikes and level in four bytes each, the instant at which the window
-- of strikes began, the instant at which the last ban ends.
-- Asked: strikes to a ban, the window of strikes, the longest ban, the time in which a level is
-- forgiven, then the length of the ban at each level up to the longest.

local rung = {}
local strikes, level, since_s, since_n, until_s, until_n = {}, {}, {}, {}, {}, {}
-- By key: the ladder under which it was asked last.
local ladder_of = {}

function read_ladder(term)
    local ladder = { rule = rung }
    ladder.strikes, ladder.within_s, ladder.within_n, ladder.max_s, ladder.max_n, ladder.decay_s,
        ladder.decay_n = parse('>I4I4I4I4I4I4I4', term, 19)
    for from = 47, #term, 8 do
        ladder[#ladder + 1] = { parse('>I4I4', term, from) }
    end
    return ladder
end

local function is_later(s, n, than_s, than_n)
    return s > than_s or s == than_s and n > than_n
end

local function plus(s, n, more_s, more_n)
    s, n = s + more_s, n + more_n
    if n >= BILLION then
        s, n = s + 1, n - BILLION
    end
    return s, n
end

local function load_ladder(k)
    strikes[k], level[k], since_s[k], since_n[k], until_s[k], until_n[k] = 0, 0, 0, 0, 0, 0
    local value = values[k]
    if not value then
        values[k] = ABSENT .. ABSENT .. ABSENT
        return
    end
    local s, n, end_s, end_n
    if #value == 24 then
        s, n = instant_at(value, 9)
        end_s, end_n = instant_at(value, 17)
    end
    -- All ones would tell the program that there was no value.
    if not n or not end_n or sub(value, 1, 8) == ABSENT then
        -- Corrupt: nobody is banned for what cannot be read.
        values[k] = ABSENT .. ABSENT .. ABSENT
        return
    end
    strikes[k], level[k] = parse('>I4I4', value)
    since_s[k], since_n[k], until_s[k], until_n[k] = s, n, end_s, end_n
end

-- Whether the owner is banned now.
function banned(k, ladder)
    if not strikes[k] then
        load_ladder(k)
    end
    ladder_of[k] = ladder
    if is_later(since_s[k], since_n[k], now_s, now_n) then
        since_s[k], since_n[k] = now_s, now_n
        touch(k, rung)
    end
    local s, n = plus(now_s, now_n, ladder.max_s, ladder.max_n)
    if is_later(until_s[k], until_n[k], s, n) then
        until_s[k], until_n[k] = s, n
        touch(k, rung)
    end
    return is_later(until_s[k], until_n[k], now_s, now_n)
end

-- The level that is left: one less for each decay since the last ban.
local function level_left(k, ladder)
    local s, n = now_s - until_s[k], now_n - until_n[k]
    if n < 0 then
        s, n = s - 1, n + BILLION
    end
    local decay_s, decay_n = ladder.decay_s, ladder.decay_n
    -- Doubles guess, to one level; whole numbers decide.
    local forgiven = math.floor((s + n / BILLION) / (decay_s + decay_n / BILLION))
    if forgiven > level[k] then
        return 0
    end
    while forgiven > 0 and not at_least(1, s, n, forgiven, decay_s, decay_n) do
        forgiven = forgiven - 1
    end
    while at_least(1, s, n, forgiven + 1, decay_s, decay_n) do
        forgiven = forgiven + 1
    end
    return math.max(level[k] - forgiven, 0)
end

-- Writes a strike; whether it leads to a ban.
function strike(k, ladder)
    touch(k, rung)
    local s, n = plus(since_s[k], since_n[k], ladder.within_s, ladder.within_n)
    if strikes[k] == 0 or not is_later(s, n, now_s, now_n) then
        strikes[k], since_s[k], since_n[k] = 0, now_s, now_n
    end
    strikes[k] = strikes[k] + 1
    if strikes[k] < ladder.strikes then
        return false
    end
    local left = level_left(k, ladder)
    local ban = ladder[math.min(left + 1, #ladder)]
    -- The highest level there is stays the highest: it is kept in four bytes.
    strikes[k], level[k] = 0, math.min(left + 1, 4294967295)
    since_s[k], since_n[k] = now_s, now_n
    until_s[k], until_n[k] = plus(now_s, now_n, ban[1], ban[2])
    return true
end

function rung.save(k)
    local ladder = ladder_of[k]
    local value = pack('>I4I4', strikes[k], level[k]) .. instant(since_s[k], since_n[k])
        .. instant(until_s[k], until_n[k])
    -- Forgotten when neither the strikes nor the level say anything any more. Only how long the
    -- key is kept is reckoned in doubles.
    local function ms_until(s, n)
        return (s - now_s) * 1000 + (n - now_n) / 1000000
    end
    local ms = ms_until(until_s[k], until_n[k])
        + level[k] * (ladder.decay_s * 1000 + ladder.decay_n / 1000000)
    if strikes[k] > 0 then
        ms = math.max(ms, ms_until(since_s[k] + ladder.within_s, since_n[k] + ladder.within_n))
    end
    put(k, value, math.min(ms, 36525 * 86400000) + spare)
end
