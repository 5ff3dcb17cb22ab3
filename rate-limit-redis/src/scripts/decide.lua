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
local terms = {}
for t = 1, #ARGV - 2 do
    local term = ARGV[t + 2]
    local kind, flags = byte(term, 1, 2)
    local rule = rules[kind]
    local asked = {
        rule = rule,
        is_enforced = flags % 2 == 1,
        takes = flags % 4 >= 2,
        is_too_much = flags >= 4,
        ladder = #term > 18 and read_ladder(term),
    }
    rule.read(asked, term)
    terms[t] = asked
end

local verdicts, decided = {}, 0
local position, size = 1, #program
while position <= size do
    local first, before, allowed = position, decided, true
    local k, asked, may_take, last
    repeat
        local k1, k2, t1, t2, l1, l2 = byte(program, position, position + 5)
        position = position + 4
        may_take, last = k1 < 128, t1 >= 128
        k, asked = k1 % 128 * 256 + k2, terms[t1 % 128 * 256 + t2]
        local verdict = '1'
        -- Asked in any case, because asking brings the state up to date.
        if not asked.rule.fits(k, asked) or asked.is_too_much then
            verdict = '0'
        end
        if asked.takes then
            read_by[k] = asked.rule
        end
        if asked.ladder then
            position = position + 2
            if asked.takes then
                read_by[l1 * 256 + l2] = asked.ladder.rule
            end
            if banned(l1 * 256 + l2, asked.ladder) then
                verdict = '2'
            end
        end
        if verdict ~= '1' and asked.is_enforced then
            allowed = false
        end
        decided = decided + 1
        verdicts[decided] = verdict
    until last

    if decided == before + 1 and not asked.ladder then
        -- Most requests have one charge, which has just been asked.
        if allowed and may_take and asked.takes and verdicts[decided] == '1' then
            asked.rule.take(k, asked.units)
        end
    else
        for charge = before + 1, decided do
            local k1, k2, t1, t2, l1, l2 = byte(program, first, first + 5)
            first = first + 4
            k, asked = k1 % 128 * 256 + k2, terms[t1 % 128 * 256 + t2]
            local ladder, l = asked.ladder, nil
            if ladder then
                first, l = first + 2, l1 * 256 + l2
            end
            if allowed and may_take then
                if asked.takes and verdicts[charge] == '1' then
                    asked.rule.fits(k, asked)
                    asked.rule.take(k, asked.units)
                end
            elseif ladder and verdicts[charge] == '0' and strike(l, ladder) then
                verdicts[charge] = '2'
            end
        end
    end
end

-- Whatever is written gets a time to live. A key that was deprived of its own gets it back also when
-- it is found and would not be written: on denial, on a ladder, for a shadow. Who takes nothing
-- writes nothing.
for k, rule in pairs(read_by) do
    local value = values[k]
    if value and not rule_of[k] and value:byte(1) ~= 255 and call('PTTL', KEYS[k]) == -1 then
        touch(k, rule)
    end
end
for i = 1, changes do
    local k = changed[i]
    rule_of[k].save(k)
end

if summarize then
    summarize()
end
local low = now_s % 4
local now = pack('>I4I4', (now_s - low) / 4, low * GIBI + now_n)
return now .. concat(verdicts) .. concat(values)
