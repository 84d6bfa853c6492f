-- Owns the option letters of ngx.re.* and the caches of compiled patterns. A cache holds two
-- generations: a full young one becomes the old one, and what was not used since is dropped; so it is
-- bounded, and patterns in use stay. Patterns without "o" are kept too, in a cache of their own that
-- cannot push out those with "o".
local bit = require "bit"
local log = require "server.log"
local pcre = require "ngx.api.pcre"
local settings = require "server.settings"

local bor = bit.bor
local error = error
local ipairs = ipairs
local pairs = pairs
local tostring = tostring
local type = type

-- The letters that are options of PCRE2 (ngx_lua README, ngx.re.match). J, JavaScript's dialect, is
-- ALT_BSUX, ALLOW_EMPTY_CLASS and MATCH_UNSET_BACKREF together.
local COMPILE_OPTIONS = {
    a = 0x80000000, i = 0x8, m = 0x400, s = 0x20, x = 0x80, D = 0x40, J = 0x203,
    u = 0x80000, U = 0x80000,
}
-- The letters that say something else.
local FLAGS = { o = "once", j = "jit", d = "dfa", D = "duplicates", U = "unchecked" }
local NO_UTF_CHECK = 0x40000000

local MAX_TRANSIENT = 128
local DEBUG = 8

local _M = {}

-- A cache: n counts the young generation, which has room for `generation`; sets are the option sets whose
-- patterns it holds.
local cached = { n = 0, generation = 0, sets = {} }
local transient = { n = 0, generation = MAX_TRANSIENT / 2, sets = {} }
local option_sets = {}

-- Returns the set of an options string: what its letters mean, and its patterns, young and old.
local function parse_options(options, level)
    if type(options) ~= "string" then
        error("bad regex options (string expected, got " .. type(options) .. ")", level + 1)
    end
    local set = { compile = 0, match = 0, young = {}, old = {} }
    for letter in options:gmatch(".") do
        local compile_option, flag = COMPILE_OPTIONS[letter], FLAGS[letter]
        if not compile_option and not flag then
            error('unknown flag "' .. letter .. '" (flags "' .. options .. '")', level + 1)
        end
        set.compile = bor(set.compile, compile_option or 0)
        if flag then
            set[flag] = true
        end
    end
    set.compile = set.compile % 0x100000000
    set.match = set.unchecked and NO_UTF_CHECK or 0
    set.cache = set.once and settings.regex_cache_max_entries > 0 and cached or transient
    set.cache.sets[#set.cache.sets + 1] = set
    option_sets[options] = set
    return set
end

-- A pattern that the user's code may still hold is left to the collector.
local function drop(patterns)
    for _, compiled in pairs(patterns) do
        if not compiled.held then
            pcre.free(compiled)
        end
    end
end

-- Make sure that one more pattern fits into the young generation.
local function make_room(cache)
    cached.generation = settings.regex_cache_max_entries / 2
    if cache.n < cache.generation then
        return
    end
    for _, set in ipairs(cache.sets) do
        drop(set.old)
        set.old, set.young = set.young, {}
    end
    cache.n = 0
end

local function check_regex(regex, level)
    local kind = type(regex)
    if kind ~= "string" and kind ~= "number" then
        error("bad argument #2 (regex: string expected, got " .. kind .. ")", level + 1)
    end
    return tostring(regex)
end

local limit = 0

local function compile(set, regex)
    if limit ~= settings.regex_match_limit then
        limit = settings.regex_match_limit
        pcre.set_match_limit(limit)
    end
    local compiled, err = pcre.compile(regex, set.compile, set.jit)
    if not compiled then
        return nil, err
    end
    compiled.match_options = set.match
    compiled.duplicates = set.duplicates or false
    compiled.match = set.dfa and pcre.dfa_match or pcre.match
    if set.dfa then
        compiled.groups = 0
    end
    return compiled
end

local function find_or_compile(set, regex, level)
    regex = check_regex(regex, level + 1)
    if set.young[regex] then -- it was asked for as a number
        return set.young[regex]
    end
    local compiled, err = set.old[regex]
    set.old[regex] = nil
    make_room(set.cache)
    if not compiled then
        compiled, err = compile(set, regex)
        if not compiled then
            return nil, err
        end
    end
    if set.cache == transient and log.level >= DEBUG then -- a debug log tells of every compilation
        return compiled
    end
    set.cache.n = set.cache.n + 1
    set.young[regex] = compiled
    return compiled
end

-- The compiled pattern, or nil and the error. It is good until the next lookup; who keeps it longer
-- must set its field `held` first. level: of the user's code above the caller, for argument errors.
function _M.lookup(regex, options, level)
    local set = option_sets[options or ""] or parse_options(options or "", level + 1)
    local compiled = set.young[regex]
    if compiled then
        return compiled
    end
    local err
    compiled, err = find_or_compile(set, regex, level + 1)
    return compiled, err
end

-- Whether no pattern with "o" is cached.
function _M.is_empty()
    return cached.n == 0
end

return _M
