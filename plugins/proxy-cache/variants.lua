-- Owns under which keys the memory strategy keeps the responses of one cache key: one entry or, where responses vary,
-- one for each variant, and an index of these. Must never be told by a client which: keys begin with their length, so
-- that none can be made to look like another one's variant.
local core = require "apisix.core"

local concat = table.concat
local gmatch = string.gmatch
local gsub = string.gsub
local ipairs = ipairs
local lower = string.lower
local md5 = ngx.md5
local remove = table.remove
local sort = table.sort
local type = type

local MAX_VARIANTS = 64 -- of one key; the oldest goes

local _M = { VERSION = 3 } -- of the form; entries of another one are never used

local function entry_key(base)
    return #base .. ":" .. base
end

local function variant_key(base, signature)
    return entry_key(base) .. "::" .. signature
end

local function index_key(base)
    return entry_key(base) .. "::__vary"
end

-- The names in a Vary (text or nil), lower-cased and sorted; nil when "*" is among them.
function _M.parse_vary(value)
    local names = {}
    for name in gmatch(lower(value or ""), "[^%s,]+") do
        if name == "*" then
            return nil
        end
        names[#names + 1] = name
    end
    sort(names)
    return names
end

local function signature_of(names, ctx)
    local values = {}
    for i, name in ipairs(names) do
        values[i] = ctx.var["http_" .. gsub(name, "-", "_")] or ""
    end
    return md5(concat(values, "\0"))
end

local function is_index(index)
    return type(index) == "table" and type(index.variants) == "table"
end

local function purge_variants(memory, base, index)
    if is_index(index) then
        for _, signature in ipairs(index.variants) do
            memory:purge(variant_key(base, signature))
        end
    end
end

-- Forget all responses of a key. An index that has expired tells still which there are.
function _M.purge_all(memory, base)
    purge_variants(memory, base, (memory:get_stale(index_key(base))))
    memory:purge(index_key(base))
    memory:purge(entry_key(base))
end

-- Is any response of this key there, be it expired?
function _M.is_known(memory, base)
    local _, entry_err = memory:get(entry_key(base))
    local _, index_err = memory:get(index_key(base))
    return entry_err ~= "not found" or index_err ~= "not found"
end

-- Where the response for this request would be.
function _M.lookup_key(memory, base, ctx)
    local index = memory:get(index_key(base))
    local names = type(index) == "table" and index.version == _M.VERSION and index.vary
    if type(names) ~= "table" or #names == 0 then
        return entry_key(base)
    end
    return variant_key(base, signature_of(names, ctx))
end

local function holds(list, item)
    for _, each in ipairs(list) do
        if each == item then
            return true
        end
    end
    return false
end

-- The variants there are, with this one; the oldest ones go.
local function add_variant(memory, base, variants, signature)
    if holds(variants, signature) then
        return variants
    end
    while #variants >= MAX_VARIANTS do
        memory:purge(variant_key(base, remove(variants, 1)))
    end
    variants[#variants + 1] = signature
    return variants
end

local function note_variant(memory, base, names, signature, ttl)
    local index = memory:get_stale(index_key(base))
    local variants = {}
    if is_index(index) and index.version == _M.VERSION and type(index.vary) == "table"
        and concat(index.vary, ",") == concat(names, ",") then
        variants = index.variants
    else
        purge_variants(memory, base, index)
    end
    variants = add_variant(memory, base, variants, signature)
    local ok, err = memory:set(index_key(base), { vary = names, variants = variants, version = _M.VERSION }, ttl)
    if not ok then
        core.log.error("failed to update vary index for ", base, ", err: ", err)
    end
end

-- Where to keep a response that varies by `names` (none: an empty table); what it replaces goes.
function _M.store_key(memory, base, names, ctx, ttl)
    if #names == 0 then
        if memory:get(index_key(base)) then
            _M.purge_all(memory, base)
        end
        return entry_key(base)
    end
    local signature = signature_of(names, ctx)
    note_variant(memory, base, names, signature, ttl)
    memory:purge(entry_key(base))
    return variant_key(base, signature)
end

return _M
