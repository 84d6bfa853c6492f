-- What both servers run when their worker starts: the log must be the same. Must never fail.
-- luacheck: globals attempts
ngx.log(ngx.WARN, "in ", ngx.get_phase())
print("printed")
local function named()
    ngx.log(ngx.WARN, "in a function")
end
named()
attempts()
ngx.timer.at(0, function()
    ngx.log(ngx.WARN, "in a timer that init_worker set")
    ngx.timer.at(0, function()
        ngx.log(ngx.WARN, "the start is over")
    end)
    error("failed in a timer that init_worker set")
end)
