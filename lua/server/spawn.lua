-- Owns the starting of operating-system processes with pipes to their standard streams. By posix_spawn: a
-- bare fork would copy an event loop and a Lua VM that neither side may go on with.
-- Must never wait for the process, nor know who reads and writes the pipes.
local ffi = require "ffi"

local C = ffi.C
local ffi_new, ffi_string = ffi.new, ffi.string

ffi.cdef [[
int pipe2(int fds[2], int flags);
int fcntl(int fd, int command, ...);
int posix_spawnp(int *pid, const char *file, const void *actions, const void *attributes,
    const char *const *argv, const char *const *envp);
int posix_spawn_file_actions_init(void *actions);
int posix_spawn_file_actions_destroy(void *actions);
int posix_spawn_file_actions_adddup2(void *actions, int fd, int as);
int posix_spawnattr_init(void *attributes);
int posix_spawnattr_setflags(void *attributes, short flags);
int posix_spawnattr_setsigdefault(void *attributes, const void *signals);
int posix_spawnattr_setsigmask(void *attributes, const void *signals);
int sigfillset(void *signals);
int sigemptyset(void *signals);
extern const char *const *pygw_environ __asm__("environ");
]]

local O_NONBLOCK, O_CLOEXEC = 0x800, 0x80000
local F_SETFL = 4
local SETSIGDEF, SETSIGMASK = 0x04, 0x08
local STRUCT = "uint64_t[128]" -- more than any C library needs for what it calls opaque

-- The process starts with every signal as the system has it, whatever its parent ignores or blocks.
local attributes, signals = ffi_new(STRUCT), ffi_new(STRUCT)
C.posix_spawnattr_init(attributes)
C.posix_spawnattr_setflags(attributes, SETSIGDEF + SETSIGMASK)
C.sigfillset(signals)
C.posix_spawnattr_setsigdefault(attributes, signals)
C.sigemptyset(signals)
C.posix_spawnattr_setsigmask(attributes, signals)

local pid_out = ffi_new("int[1]")

local function strings(list)
    local array = ffi_new("const char *[?]", #list + 1)
    for i, text in ipairs(list) do
        array[i - 1] = text
    end
    array[#list] = nil
    return array
end

local function close_all(fds)
    for i = 1, #fds do
        C.close(fds[i])
    end
end

-- Open `count` pipes: an array of their ends {read, write, read, write, …}, closed on exec. nil, errno
local function open_pipes(count)
    local fds, two = {}, ffi_new("int[2]")
    for _ = 1, count do
        if C.pipe2(two, O_CLOEXEC) ~= 0 then
            local errno = ffi.errno()
            close_all(fds)
            return nil, errno
        end
        fds[#fds + 1], fds[#fds + 2] = two[0], two[1]
    end
    return fds
end

local function run(file, argv, env, actions)
    local envp = env and strings(env)
    return C.posix_spawnp(pid_out, file, actions, attributes, strings(argv), envp or C.pygw_environ)
end

local function start(file, argv, env, stdin, stdout, stderr)
    local actions = ffi_new(STRUCT)
    C.posix_spawn_file_actions_init(actions)
    C.posix_spawn_file_actions_adddup2(actions, stdin, 0)
    C.posix_spawn_file_actions_adddup2(actions, stdout, 1)
    C.posix_spawn_file_actions_adddup2(actions, stderr or 1, 2)
    local errno = run(file, argv, env, actions)
    local missing
    if errno ~= 0 then -- as when a fork cannot exec: a process that ends with 1
        missing = errno
        errno = run("/bin/sh", { "sh", "-c", "exit 1" }, env, actions)
    end
    C.posix_spawn_file_actions_destroy(actions)
    return errno, missing
end

local function failure(what, errno)
    return nil, what .. " failed: " .. ffi_string(C.strerror(errno))
end

-- Start file (looked for on PATH) with argv (array of strings, the first is its name). env: array of
-- "name=value", nil: ours. merged: its stderr goes where its stdout goes.
-- Returns {pid, stdin, stdout, stderr (nil when merged), missing (errno of an exec that failed, or nil)},
-- the descriptors non-blocking and the caller's to close; or nil and an error text.
return function(file, argv, env, merged)
    local fds, errno = open_pipes(merged and 2 or 3)
    if not fds then
        return failure("pipe", errno)
    end
    local missing
    errno, missing = start(file, argv, env, fds[1], fds[4], fds[6])
    if errno ~= 0 then
        close_all(fds)
        return failure("fork", errno)
    end
    close_all({ fds[1], fds[4], fds[6] })
    local child = { pid = pid_out[0], stdin = fds[2], stdout = fds[3], stderr = fds[5], missing = missing }
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
        if child[name] then
            C.fcntl(child[name], F_SETFL, ffi.cast("int", O_NONBLOCK))
        end
    end
    return child
end
