-- Owns the numbers that connections have in the error log ("*7"); a timer's run has one too, as in nginx.
local last = 0

-- The next number.
return function()
    last = last + 1
    return last
end
