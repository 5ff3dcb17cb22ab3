-- Forgets keys. Answers the time and what they held.

call('DEL', unpack(KEYS))
return { instant(now_s, now_n), values }
