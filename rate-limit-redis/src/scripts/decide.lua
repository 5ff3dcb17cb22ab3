-- Decides requests, each all or nothing.
--
-- ARGV[2]   the program: for each charge two bytes for the key, two for the term and, if the term
--           has a penalty ladder, two for the key of the owner's place on it. The top bit of the
--           term ends a request, that of the key forbids it to take anything
-- ARGV[3..] the terms: kind, flags (1 enforced, 2 takes units, 4 takes more than can ever fit),
--           what the kind asks for, what the penalty ladder asks for
--
-- Answers the time, a verdict for each charge (0 deny, 1 admit, 2 ban) and the states that were
-- read, from which the caller reckons what remains.

local program = ARGV[2]
local kinds, enforced, takes, never, laddered = {}, {}, {}, {}, {}
for t = 1, #ARGV - 2 do
    local term = ARGV[t + 2]
    local kind, flags = byte(term, 1, 2)
    kinds[t] = kind
    enforced[t], takes[t], never[t] = flags % 2 == 1, flags % 4 >= 2, flags >= 4
    read[kind](t, term)
    if #term > 18 then
        laddered[t] = read_ladder(term)
    end
end

-- Whatever is written gets a time to live. A key that was deprived of its own gets it back also
-- when it is found on denial; what admits is written anyway.
local lasting = {}
local function heal_lasting(k, kind)
    if values[k] ~= ABSENT and not lasting[k] then
        lasting[k] = true
        if call('PTTL', KEYS[k]) == -1 then
            touch(k, kind)
        end
    end
end

local verdicts, decided = {}, 0
local position, size = 1, #program
while position <= size do
    local first, before, allowed = position, decided, true
    local k, t, l, may_take, last
    repeat
        local k1, k2, t1, t2, l1, l2 = byte(program, position, position + 5)
        position = position + 4
        may_take, last = k1 < 128, t1 >= 128
        k, t = k1 % 128 * 256 + k2, t1 % 128 * 256 + t2
        local verdict = '1'
        -- Asked in any case, because asking brings the state up to date.
        if not fits[kinds[t]](k, t) or never[t] then
            verdict = '0'
            heal_lasting(k, kinds[t])
        end
        if laddered[t] then
            position = position + 2
            if banned(l1 * 256 + l2, laddered[t]) then
                verdict = '2'
            end
        end
        if verdict ~= '1' and enforced[t] then
            allowed = false
        end
        decided = decided + 1
        verdicts[decided] = verdict
    until last

    if decided == before + 1 and not laddered[t] then
        -- Most requests have one charge, which has just been asked.
        if allowed and may_take and takes[t] and verdicts[decided] == '1' then
            take[kinds[t]](k, t, d[t])
        end
    else
        for charge = before + 1, decided do
            local k1, k2, t1, t2, l1, l2 = byte(program, first, first + 5)
            first = first + 4
            k, t = k1 % 128 * 256 + k2, t1 % 128 * 256 + t2
            if laddered[t] then
                first, l = first + 2, l1 * 256 + l2
            end
            if allowed and may_take then
                if takes[t] and verdicts[charge] == '1' then
                    fits[kinds[t]](k, t)
                    take[kinds[t]](k, t, d[t])
                end
            elseif laddered[t] and verdicts[charge] == '0' and strike(l, laddered[t]) then
                verdicts[charge] = '2'
            end
        end
    end
end

for i = 1, changes do
    local k = changed[i]
    save[kind_of[k]](k)
end

if summarize then
    summarize()
end
return instant(now_s, now_n) .. concat(verdicts) .. concat(values)
