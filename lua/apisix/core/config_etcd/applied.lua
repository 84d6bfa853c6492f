-- Owns what each worker lets the others know of how far it has come: in a shared dict, for each directory, the revision
-- applied and how many items there are. Must never be read on the way of a request.
local ngx = ngx
local pairs = pairs
local str_match = string.match
local tonumber = tonumber
local worker_id = ngx.worker.id

local PREFIX = "applied:"

local _M = {}

local followed = {} -- directory's key -> whether that key is the one item, of this worker

-- Write down where the directory (an object of core.config.new) is. Called after each change of it.
function _M.note(self)
    local dict, id = ngx.shared["internal-status"], worker_id()
    if not dict or not id then
        return
    end
    followed[self.key] = self.single_item or false
    local count = #self.values - self.sync_times -- sync_times: the holes
    dict:set(PREFIX .. id .. self.key, self.prev_index .. " " .. count)
end

-- The directories that are followed: key in the store -> whether that key is the one item. All workers follow the same.
function _M.directories()
    return followed
end

-- Where a worker is in a directory: revision and count of items, 0 and 0 when it has not begun.
function _M.read(id, key)
    local text = ngx.shared["internal-status"]:get(PREFIX .. id .. key)
    local revision, count = str_match(text or "0 0", "^(%d+) (%d+)$")
    return tonumber(revision), tonumber(count)
end

-- The highest revision that a worker has applied.
function _M.highest(id)
    local highest = 0
    for key in pairs(followed) do
        local revision = _M.read(id, key)
        highest = revision > highest and revision or highest
    end
    return highest
end

return _M
