-- Owns the way from a view to Lua code: {{ }}, {* *}, {% %}, {( )}, {[ ]}, {# #}, {-block-} and their escapes.
-- Source: the documentation of lua-resty-template 2.0. Must never run what it makes, or read a file.
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local concat = table.concat

local BACKSLASH, NEWLINE = byte("\\"), byte("\n")

local HEAD = [[
return function(...)
context=... or {}
local ___,blocks,layout={},blocks or {}
local function include(v, c) return template.process(v, c or context) end
local function echo(...) for i=1,select("#", ...) do ___[#___+1] = tostring(select(i, ...)) end end
]]
local TAIL = [[
local ____ = table.concat(___)
if layout then return include(layout, setmetatable({ view = ____, blocks = blocks }, { __index = context })) end
return ____
end]]

local _M = {}

local function trim(text)
    return (gsub(gsub(text, "^%s+", ""), "%s+$", ""))
end

local Parser = {}
Parser.__index = Parser

function Parser:put(...)
    local code = self.code
    for i = 1, select("#", ...) do
        code[#code + 1] = (select(i, ...))
    end
end

function Parser:visited(content, tag, name)
    local visitors = self.visitors
    for i = 1, visitors and #visitors or 0 do
        content = visitors[i](content, tag, name)
    end
    return content
end

-- Code for the text from `from` to `to`.
function Parser:put_text(from, to)
    if from <= to then
        self:put("___[#___+1]=", format("%q", self:visited(sub(self.view, from, to))), "\n")
    end
end

-- The last place up to `at` that is no blank of its line.
function Parser:before_blanks(at)
    while at > 0 and find(self.view, "^[ \t\v%z]", at) do
        at = at - 1
    end
    return at
end

-- The place after `at`, and after the line's end if that is there.
function Parser:after_newline(at)
    return byte(self.view, at) == NEWLINE and at + 1 or at
end

-- Tags by the character after "{". Each: close, its end; put(parser, text, start, stop), which writes code for what is
-- between and returns where the view goes on (nil: it is no tag); own_line: the blanks before it go.
local TAGS = {}

TAGS["{"] = { close = "}}", put = function(self, text, _, stop)
    self:put("___[#___+1]=template.escape(", self:visited(trim(text), "{"), ")\n")
    return stop + 1
end }

TAGS["*"] = { close = "*}", put = function(self, text, _, stop)
    self:put("___[#___+1]=template.output(", self:visited(trim(text), "*"), ")\n")
    return stop + 1
end }

TAGS["%"] = { close = "%}", own_line = true, put = function(self, text, _, stop)
    self:put(self:visited(trim(text), "%"), "\n")
    return self:after_newline(stop + 1)
end }

TAGS["("] = { close = ")}", put = function(self, text, _, stop)
    text = self:visited(text, "(")
    local comma = find(text, ",", 2, true)
    self:put("___[#___+1]=include(", format("%q", trim(sub(text, 1, (comma or 0) - 1))))
    if comma then
        self:put(",", trim(sub(text, comma + 1)))
    end
    self:put(")\n")
    return stop + 1
end }

TAGS["["] = { close = "]}", put = function(self, text, _, stop)
    self:put("___[#___+1]=include(", self:visited(trim(text), "["), ")\n")
    return stop + 1
end }

TAGS["#"] = { close = "#}", put = function(self, _, _, stop)
    return self:after_newline(stop + 1)
end }

local function is_raw(name)
    return name == "raw" or name == "verbatim"
end

-- A block ends with the same tag that began it.
local function end_of_block(self, start, stop)
    return find(self.view, sub(self.view, start, stop), stop + 1, true)
end

TAGS["-"] = {
    close = "-}",
    own_line = function(name) return not is_raw(trim(name)) end,
    holds = function(self, start, stop) return end_of_block(self, start, stop) ~= nil end,
    put = function(self, text, start, stop)
        local from, to = end_of_block(self, start, stop)
        local name, content = trim(text), gsub(sub(self.view, stop + 1, from - 1), "^\n", "")
        if is_raw(name) then
            self:put("___[#___+1]=", format("%q", self:visited(content)), "\n")
        else
            content = self:visited(gsub(content, "\n$", ""), "-", name)
            self:put("blocks[", format("%q", name), "]=template.process_string(", format("%q", content), ",context)\n")
        end
        return self:after_newline(to + 1)
    end,
}

-- How many backslashes before `at` go, and whether they make what is there plain text.
local function escapes(view, at)
    if at < 2 or byte(view, at - 1) ~= BACKSLASH then
        return 0, false
    end
    return 1, not (at > 2 and byte(view, at - 2) == BACKSLASH)
end

-- Where the tag at `start` ends, and its kind; nil when there is none.
function Parser:tag_at(start)
    local tag = TAGS[sub(self.view, start + 1, start + 1)]
    local _, stop = find(self.view, tag and tag.close or "", start + 2, true)
    if not tag or not stop or tag.holds and not tag.holds(self, start, stop) then
        return nil
    end
    return stop, tag
end

-- Code for the tag at `start`, and for the text from `from` up to it. Returns where the view goes on.
function Parser:put_tag(from, start, stop, tag)
    local gone, plain = escapes(self.view, start)
    if plain then
        self:put_text(from, start - 1 - gone)
        return start, start + 1
    end
    local text = sub(self.view, start + 2, stop - #tag.close)
    local own_line = tag.own_line
    if own_line and (own_line == true or own_line(text)) then
        self:put_text(from, self:before_blanks(start - 1 - gone))
    else
        self:put_text(from, start - 1 - gone)
    end
    local on = tag.put(self, text, start, stop)
    return on, on
end

-- The Lua code of a view: a chunk that returns function(context) -> text, whose environment has `template`.
-- visitors: nil, or an array of function(content, tag, name) -> content.
function _M.parse(view, visitors)
    local parser = setmetatable({ view = view, code = { HEAD }, visitors = visitors }, Parser)
    local from, at = 1, 1
    while true do
        local start = find(view, "{", at, true)
        if not start then
            break
        end
        local stop, tag = parser:tag_at(start)
        if stop then
            from, at = parser:put_tag(from, start, stop, tag)
        else
            at = start + 1
        end
    end
    parser:put_text(from, #view)
    parser:put(TAIL)
    return concat(parser.code)
end

return _M
