-- Owns the wording of regex errors: ngx_lua documents PCRE's numbers and texts, and tests of plugins
-- compare them, so PCRE2's are turned into those of PCRE (pcreapi(3), pcre2api(3)).

-- What pcre2_match returns -> what pcre_exec returned for the same reason.
local EXEC_CODES = {
    [-33] = -24, -- start offset beyond the subject
    [-34] = -3,  -- bad option
    [-36] = -11, -- start offset inside a UTF-8 character
    [-38] = -30, -- DFA: bad restart
    [-39] = -20, -- DFA: recursion
    [-40] = -17, -- DFA: unsupported condition
    [-41] = -16, -- DFA: unsupported function
    [-42] = -16, -- DFA: unsupported item
    [-43] = -19, -- DFA: workspace exhausted
    [-46] = -27, -- JIT stack exhausted
    [-47] = -8,  -- match limit
    [-48] = -6,  -- no memory
    [-52] = -26, -- recursion loop
    [-53] = -21, -- depth limit
    [-63] = -21, -- heap limit
}

local BAD_UTF8, FIRST_UTF8, LAST_UTF8 = -10, -3, -23

-- Compile errors that PCRE2 words differently.
local COMPILE_TEXTS = {
    [107] = "invalid escape sequence in character class",
    [109] = "nothing to repeat",
    [114] = "missing )",
    [118] = "missing ) after comment",
    [119] = "parentheses are too deeply nested",
    [122] = "unmatched parentheses",
    [124] = "missing )",
    [127] = "conditional group contains more than two branches",
    [129] = "digit expected after (?+",
    [134] = "character value in \\x{} or \\o{} is too large",
    [137] = "PCRE does not support \\L, \\l, \\N{name}, \\U, or \\u",
    [138] = "number after (?C is > 255",
    [139] = "closing ) for (?C expected",
    [142] = "syntax error in subpattern name (missing terminator)",
    [143] = "two named subpatterns have the same name",
    [144] = "group name must start with a non-digit",
    [147] = "unknown property name after \\P or \\p",
    [148] = "subpattern name is too long (maximum 32 characters)",
    [154] = "DEFINE group contains more than one branch",
    [158] = "(?R or (?[+-]digits must be followed by )",
    [161] = "number is too big",
    [168] = "\\c must be followed by an ASCII character",
    [177] = "character value in \\u.... sequence is too large",
    [178] = "digits missing in \\x{} or \\o{}",
}

local DUPLICATE_NAME = 143

local _M = { compile_texts = COMPILE_TEXTS }

-- The error of a failed match: "pcre_exec() failed: <number>". rc: PCRE2's negative result.
function _M.exec(rc)
    if rc <= FIRST_UTF8 and rc >= LAST_UTF8 then
        rc = BAD_UTF8
    end
    return "pcre_exec() failed: " .. (EXEC_CODES[rc] or rc)
end

-- The error of a failed compilation. offset: where in the pattern, in bytes, it was noticed.
function _M.compile(text, pattern, offset)
    if text == COMPILE_TEXTS[DUPLICATE_NAME] then
        offset = offset - 1 -- PCRE noticed it before the name's end
    end
    local message = 'pcre_compile() failed: ' .. text .. ' in "' .. pattern .. '"'
    if offset == #pattern then
        return message
    end
    return message .. ' at "' .. pattern:sub(offset + 1) .. '"'
end

return _M
