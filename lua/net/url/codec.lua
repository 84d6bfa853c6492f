-- Owns net.url's options and its percent-encoding. The options are one table that users change in place.
local byte, char, format, gsub = string.byte, string.char, string.format, string.gsub
local tonumber = tonumber

local _M = {}

-- A set of the characters of a string.
local function set(text)
    local members = {}
    for character in text:gmatch(".") do
        members[character] = true
    end
    return members
end

-- separator: between query parameters. cumulative_parameters: keep all values of a repeated parameter, in
-- a table, instead of the first. legal_in_path, legal_in_query: what is not encoded there beside letters
-- and digits. query_plus_is_space: "+" in a query means a space.
_M.options = {
    separator = "&",
    cumulative_parameters = false,
    legal_in_path = set(":-_.!~*'()@&=$,;"),
    legal_in_query = set(":-_.,!~*';()@$"),
    query_plus_is_space = true,
}

-- What stays as it is in the name of a query parameter.
_M.legal_in_name = set("-_.")

function _M.decode(text)
    return (gsub(text, "%%(%x%x)", function(pair)
        return char(tonumber(pair, 16))
    end))
end

function _M.encode(text, legal)
    return (gsub(text, "[^%w]", function(character)
        return legal[character] and character or format("%%%02X", byte(character))
    end))
end

-- As decode, "+" included where the options say so.
function _M.decode_query(text)
    if _M.options.query_plus_is_space then
        text = gsub(text, "+", " ")
    end
    return _M.decode(text)
end

return _M
