-- Owns the C declarations that more than one file of floor 2 uses, and the numbers behind the
-- names. Everything here has the same value on Linux x86-64 and aarch64; what differs must be
-- chosen here by jit.arch.
local ffi = require "ffi"

-- Declared with int results: the counts fit, and an int needs no boxing in Lua.
ffi.cdef [[
int pygw_recv(int fd, void *buf, size_t len, int flags) __asm__("recv");
int pygw_send(int fd, const void *buf, size_t len, int flags) __asm__("send");
int pygw_write(int fd, const void *buf, size_t len) __asm__("write");
uint8_t *pygw_memchr(const void *bytes, int byte, size_t n) __asm__("memchr");
int socket(int domain, int type, int protocol);
int connect(int fd, const void *addr, unsigned int len);
int accept4(int fd, void *addr, unsigned int *len, int flags);
int bind(int fd, const void *addr, unsigned int len);
int getsockname(int fd, void *addr, unsigned int *len);
int getpeername(int fd, void *addr, unsigned int *len);
int setsockopt(int fd, int level, int name, const void *value, unsigned int len);
int getsockopt(int fd, int level, int name, void *value, unsigned int *len);
int shutdown(int fd, int how);
int close(int fd);
int inet_pton(int af, const char *src, void *dst);
const char *inet_ntop(int af, const void *src, char *dst, unsigned int size);
char *strerror(int errnum);

struct pygw_sockaddr_in { uint16_t family; uint8_t port[2]; uint8_t addr[4]; char zero[8]; };
struct pygw_sockaddr_in6 {
    uint16_t family; uint8_t port[2]; uint32_t flowinfo; uint8_t addr[16]; uint32_t scope;
};
struct pygw_sockaddr_un { uint16_t family; char path[108]; };
union pygw_sockaddr {
    uint16_t family;
    struct pygw_sockaddr_in in4;
    struct pygw_sockaddr_in6 in6;
    struct pygw_sockaddr_un un;
};
]]

return {
    AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10,
    SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000,
    SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_ERROR = 4, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_KEEPALIVE = 9, SO_LINGER = 13,
    IPPROTO_IP = 0, IP_BIND_ADDRESS_NO_PORT = 24,
    IPPROTO_TCP = 6, TCP_NODELAY = 1, TCP_KEEPINTVL = 5, TCP_KEEPCNT = 6,
    MSG_PEEK = 0x2, MSG_NOSIGNAL = 0x4000, MSG_MORE = 0x8000,
    SHUT_WR = 1,
    EINTR = 4, EAGAIN = 11, EPIPE = 32, EMFILE = 24, ENFILE = 23,
    ECONNRESET = 104, ENOTCONN = 107, ETIMEDOUT = 110, ECONNREFUSED = 111, EINPROGRESS = 115,
    EPOLLIN = 0x1, EPOLLOUT = 0x4, EPOLLERR = 0x8, EPOLLHUP = 0x10, EPOLLRDHUP = 0x2000,
}
