-- Changes a document if it is as expected.
--
-- KEYS[1]  the document: its version in decimal digits, then '+' and the content, or '-' once deleted
-- ARGV[1]  what is expected: '*' anything, '-' no document, or a version
-- ARGV[2]  '+' to write, '-' to delete
-- ARGV[3]  the content
--
-- Answers '+' or '-' for "changed" or "not as expected", and the version that there is now; 0 for no
-- document. Answers '?' if what is kept is no document. The commands are those that decisions use,
-- so the permissions of a decider suffice.

local kept = redis.call('MGET', KEYS[1])[1] or '0-'
local version, state = string.match(kept, '^(%d+)([+-])')
if not version then
    return '?'
end
local present = state == '+' and version or '0'
local expected = ARGV[1]
if expected ~= '*' and expected ~= (present == '0' and '-' or present) then
    return '-' .. present
end
if state == '+' or ARGV[2] == '+' then
    version = string.format('%.0f', version + 1)
    redis.call('SET', KEYS[1], version .. ARGV[2] .. ARGV[3])
end
return '+' .. version
