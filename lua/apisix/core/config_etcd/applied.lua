-- Owns what each worker lets the others know of how far it has come: in a shared dict, for each directory, the revision
-- applied and how many items there are. Must never be read on the way of a request.
local ngx = ngx
local pairs = pairs
local str_match = string.match
local tonumber = tonumber
local worker_id = ngx.worker.id
local worker_pid = ngx.worker.pid

local PREFIX = "applied:" -- apisix.control.roster sweeps up what the dead leave

local _M = {}

local followed = {} -- directory's key -> whether that key is the one item, of this worker

-- Write down where the directory (an object of core.config.new) is. Called after each change of it.
function _M.note(self)
    local dict = ngx.shared["internal-status"]
    if not dict or not worker_id() then
        return
    end
    followed[self.key] = self.single_item or false
    local count = #self.values - self.sync_times -- sync_times: the holes
    dict:set(PREFIX .. worker_pid() .. self.key, self.prev_index .. " " .. count)
end

-- The directories that are followed: key in the store -> whether that key is the one item. All workers follow the same.
function _M.directories()
    return followed
end

-- Where the worker of that pid is in a directory: revision and count of items, 0 and 0 when it has not begun; and its
-- note as it stands, nil when there is none.
function _M.read(pid, key)
    local text = ngx.shared["internal-status"]:get(PREFIX .. pid .. key)
    local revision, count = str_match(text or "0 0", "^(%d+) (%d+)$")
    return tonumber(revision), tonumber(count), text
end

-- The highest revision that the worker of that pid has applied.
function _M.highest(pid)
    local highest = 0
    for key in pairs(followed) do
        local revision = _M.read(pid, key)
        highest = revision > highest and revision or highest
    end
    return highest
end

return _M
