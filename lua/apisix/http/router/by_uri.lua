-- Owns what the two routers by path alone have in common. Must never know which paths have parameters.
local route = require "apisix.http.route"

-- router: an empty radixtree. Returns a module of apisix.http.router.
return function(router)
    local routes = route.new_table(router)
    local _M = {}

    -- Begin to watch /routes. filter: what apisix.router does with each item.
    function _M.init_worker(filter)
        _M.user_routes = route.init_worker(function(item)
            filter(item)
            routes:note(item)
        end)
    end

    -- Find the route of a request, with the configuration as it is now. Returns whether there is one.
    function _M.match(api_ctx)
        routes:sync(_M.user_routes)
        return _M.matching(api_ctx)
    end

    function _M.matching(api_ctx)
        local opts = route.match_options(api_ctx)
        local found = route.match_uri(router, api_ctx, opts)
        route.forget_options(opts, found)
        return found
    end

    return _M
end
