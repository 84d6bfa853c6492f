-- Owns the decision which requests are traced. Part of the plugin opentelemetry.
local sub = string.sub
local tonumber = tonumber

local RANGE = 2 ^ 32 - 1

local function on()
    return true
end

local function off()
    return false
end

-- The trace's id decides, so that all who look at one trace with one fraction agree.
local function ratio(fraction)
    if fraction >= 1 then
        return on
    end
    local bound = fraction * RANGE
    return function(_, trace_id)
        return tonumber(sub(trace_id, 1, 8), 16) < bound
    end
end

local function plain(name, options)
    if name == "trace_id_ratio" then
        return ratio(options and options.fraction or 0)
    end
    return name == "always_on" and on or off
end

-- conf: the configuration's sampler. Returns function(parent (or nil), trace_id) -> boolean.
return function(conf)
    if conf.name ~= "parent_base" then
        return plain(conf.name, conf.options)
    end
    local root = conf.options.root
    local of_root = root and plain(root.name, root.options) or off
    return function(parent, trace_id)
        if parent then
            return parent.flags % 2 == 1
        end
        return of_root(nil, trace_id)
    end
end
