/* A disk that is full, or read-only, below SHIM_ROOT, as far as the calls that write can tell.
 *
 * SHIM_CONTROL names a file of two 64-bit numbers that the test writes while the process runs: the mode (0: there is
 * room; 1: so many bytes are left; 2: read-only) and the bytes that are left, which every process counts down. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
#define FDS 65536

static const char *root;
static struct { _Atomic int64_t mode, left; } *control;
static atomic_bool is_ours_fd[FDS];

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("SHIM_CONTROL");
    root = getenv("SHIM_ROOT");
    if (!file || !root) { root = NULL; return; }
    int fd = REAL(open)(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (control == MAP_FAILED) abort();
    REAL(close)(fd);
}

static bool is_ours(const char *path) {
    size_t length = root ? strlen(root) : 0;
    return root && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static bool is_read_only(void) { return atomic_load(&control->mode) == 2; }

/* How many of these bytes there is room for; -1: none, and errno says why. */
static ssize_t take(size_t wanted) {
    if (is_read_only()) { errno = EROFS; return -1; }
    if (atomic_load(&control->mode) == 0 || wanted == 0) return (ssize_t)wanted;
    int64_t left = atomic_load(&control->left), taken;
    do {
        taken = left < (int64_t)wanted ? left : (int64_t)wanted;
        if (taken <= 0) { errno = ENOSPC; return -1; }
    } while (!atomic_compare_exchange_weak(&control->left, &left, left - taken));
    return (ssize_t)taken;
}

static bool has(int fd) { return root && fd >= 0 && fd < FDS && atomic_load(&is_ours_fd[fd]); }

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    bool is_write = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT);
    bool ours = is_ours(path) && is_write;
    if (ours && is_read_only()) { errno = EROFS; return -1; }
    int fd = REAL(openat64)(dir, path, flags, mode);
    if (fd >= 0 && fd < FDS) atomic_store(&is_ours_fd[fd], ours);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode_t mode = mode_of(flags, arguments);                                                                       \
        va_end(arguments);                                                                                             \
        return open_at(AT_FDCWD, path, flags, mode);                                                                   \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int dir, const char *path, int flags, ...) {                                                              \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        mode_t mode = mode_of(flags, arguments);                                                                       \
        va_end(arguments);                                                                                             \
        return open_at(dir, path, flags, mode);                                                                        \
    }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) atomic_store(&is_ours_fd[fd], false);
    return REAL(close)(fd);
}

/* As file systems do, what there is room for is written; the next call is refused. */
#define WRITE(name, parameters, arguments)                                                                             \
    ssize_t name parameters {                                                                                          \
        if (has(fd)) {                                                                                                 \
            ssize_t room = take(length);                                                                               \
            if (room < 0) return -1;                                                                                   \
            length = (size_t)room;                                                                                     \
        }                                                                                                              \
        return REAL(name) arguments;                                                                                   \
    }
WRITE(write, (int fd, const void *data, size_t length), (fd, data, length))
WRITE(pwrite, (int fd, const void *data, size_t length, off_t at), (fd, data, length, at))
WRITE(pwrite64, (int fd, const void *data, size_t length, off64_t at), (fd, data, length, at))

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!has(fd)) return REAL(writev)(fd, parts, count);
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

/* Nothing is kept for later: what matters is whether there is room. */
static int reserve(int fd, off64_t length) {
    if (!has(fd)) return 0;
    if (is_read_only()) { errno = EROFS; return -1; }
    if (atomic_load(&control->mode) == 1 && atomic_load(&control->left) < length) { errno = ENOSPC; return -1; }
    return 0;
}

int fallocate(int fd, int mode, off_t from, off_t length) {
    return reserve(fd, length) ? -1 : REAL(fallocate)(fd, mode, from, length);
}
int fallocate64(int fd, int mode, off64_t from, off64_t length) {
    return reserve(fd, length) ? -1 : REAL(fallocate64)(fd, mode, from, length);
}

/* Refuses a change of a directory, or of a length, on a disk that is read-only. */
#define CHANGE(name, parameters, arguments, ours)                                                                      \
    int name parameters {                                                                                              \
        if ((ours) && is_read_only()) { errno = EROFS; return -1; }                                                    \
        return REAL(name) arguments;                                                                                   \
    }
CHANGE(ftruncate, (int fd, off_t length), (fd, length), has(fd))
CHANGE(ftruncate64, (int fd, off64_t length), (fd, length), has(fd))
CHANGE(rename, (const char *from, const char *to), (from, to), is_ours(to))
CHANGE(link, (const char *from, const char *to), (from, to), is_ours(to))
CHANGE(linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
    (from_dir, from, to_dir, to, flags), is_ours(to))
CHANGE(unlink, (const char *path), (path), is_ours(path))
CHANGE(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), is_ours(path))
CHANGE(rmdir, (const char *path), (path), is_ours(path))

int mkdir(const char *path, mode_t mode) {
    /* That it is there already is told first. */
    if (!is_ours(path) || access(path, F_OK) == 0) return REAL(mkdir)(path, mode);
    if (is_read_only()) { errno = EROFS; return -1; }
    if (atomic_load(&control->mode) == 1 && atomic_load(&control->left) <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return REAL(mkdir)(path, mode);
}
