/* A disk that loses power: preloaded into the writing process, it knows which bytes and which directory entries below
 * SHIM_ROOT a real disk would still have, and on its cue leaves just those and ends the process.
 *
 * What is modelled:
 *   - Bytes of a file are durable once fsync or fdatasync on it has succeeded; sync_file_range makes nothing durable.
 *     Of the bytes after those, SHIM_TAIL says what is found afterwards:
 *       0  nothing: the file ends where it was durable
 *       1  a beginning of random length
 *       2  the first sectors, then zeros up to the end: the length was written, not all of the data
 *       3  any of the pages, zeros in place of the others: they were written out of order
 *   - A directory entry (created, renamed, linked, removed) is durable once its directory has been synced. Those that
 *     are not are kept in the order of their making up to a random point, and undone after it, as a journal does.
 *   - Every SHIM_FAIL_AT-th sync of the files and directories whose path holds SHIM_FAIL_NAME fails with EIO. What
 *     it should have made durable never will be, even if a later sync of the file succeeds: Linux forgets the error
 *     and marks the pages clean. After the loss it reads as zeros.
 *   - With SHIM_LIE, syncs succeed and make nothing durable. The tests must notice.
 *
 * What is not: bytes written over durable ones (counted as `overwrites`, which the tests demand to be 0); truncation and
 * the removal of whole trees (unlinkat), which are durable at once; stale contents of other files in unwritten sectors; writes through mmap or stdio (of
 * RocksDB's files only LOG is written so, and it is cut like any other file that was never synced).
 *
 * The cue is the SHIM_LOSS_AT-th call below SHIM_ROOT, before or after it is carried out, or opening a file whose name
 * is `switch-off`. SHIM_REPORT gets one line of figures at the end. SHIM_SHADOW is a directory on the same file system,
 * outside SHIM_ROOT, where removed files wait for their removal to become durable.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 8192, ENTRIES_MAX = 8192, HOLES_MAX = 4096, SECTOR_BYTES = 512, PAGE_BYTES = 4096 };

/* A file open for writing, or with bytes that are not durable. */
struct file {
    bool used;
    dev_t dev;
    ino_t ino;
    int own_fd; /* survives closing, renaming and unlinking */
    int open_count;
    off_t durable;
};

/* Bytes that a failed sync has lost for good. */
struct hole {
    int file;
    off_t from, to;
};

enum entry_kind { CREATED, DIRECTORY, RENAMED, REMOVED };

/* A change to a directory that is not durable. */
struct entry {
    enum entry_kind kind;
    long made; /* which of all changes it is */
    dev_t dev; /* of the directory */
    ino_t ino;
    char path[PATH_MAX];
    char from[PATH_MAX];   /* where a renamed file was */
    char shadow[PATH_MAX]; /* what was removed or replaced; empty: nothing */
};

static struct file files[FILES_MAX];
static int files_end; /* none is used from here on */
static struct hole holes[HOLES_MAX];
static int hole_count;
static struct entry *entries[ENTRIES_MAX];
static int entry_count;
static long entries_made;

/* Guards the tables above. */
static pthread_mutex_t tables = PTHREAD_MUTEX_INITIALIZER;
/* Held for reading while a call is carried out, for writing by the loss of power: nothing happens after it. */
static pthread_rwlock_t power = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

static const char *root, *shadow_dir, *report, *fail_name;
static long loss_at, fail_at, tail_mode;
static bool lies;
static uint64_t random_state;
static atomic_long calls, writes, syncs, failed, overwrites, shadow_next;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        fprintf(stderr, "shim: no %s\n", name);
        abort();
    }
    return function;
}

static void fail(const char *what) {
    fprintf(stderr, "shim: %s\n", what);
    abort();
}

static uint64_t draw(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return below ? random_state % below : 0;
}

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

__attribute__((constructor)) static void start(void) {
    root = getenv("SHIM_ROOT");
    shadow_dir = getenv("SHIM_SHADOW");
    report = getenv("SHIM_REPORT");
    fail_name = getenv("SHIM_FAIL_NAME");
    loss_at = number("SHIM_LOSS_AT");
    fail_at = number("SHIM_FAIL_AT");
    tail_mode = number("SHIM_TAIL");
    lies = number("SHIM_LIE");
    random_state = 0x9e3779b97f4a7c15u ^ (uint64_t)number("SHIM_SEED");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool is_ours(const char *path) {
    size_t length = root ? strlen(root) : 0;
    return length && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* --- what is durable ------------------------------------------------------------------------------------------ */

static struct file *find(const struct stat *of) {
    for (int i = 0; i < files_end; i++)
        if (files[i].used && files[i].ino == of->st_ino && files[i].dev == of->st_dev) return &files[i];
    return NULL;
}

/* The tracked file behind a descriptor. */
static struct file *find_fd(int fd, struct stat *found) {
    if (!root || fstat(fd, found) != 0 || !S_ISREG(found->st_mode)) return NULL;
    pthread_mutex_lock(&tables);
    struct file *file = find(found);
    pthread_mutex_unlock(&tables);
    return file;
}

static void track(const char *path, int fd, bool is_new, bool is_emptied) {
    struct stat of;
    if (fstat(fd, &of) != 0 || !S_ISREG(of.st_mode)) return;
    pthread_mutex_lock(&tables);
    struct file *file = find(&of);
    for (int i = 0; !file && i < FILES_MAX; i++) {
        if (files[i].used) continue;
        int own = REAL(open)(path, O_RDWR | O_CLOEXEC);
        if (own < 0) fail("cannot open a second time");
        file = &files[i];
        *file = (struct file){true, of.st_dev, of.st_ino, fcntl(own, F_DUPFD_CLOEXEC, 2048), 0, of.st_size};
        REAL(close)(own);
        if (i >= files_end) files_end = i + 1;
        if (file->own_fd < 0) fail("too few file descriptors: raise `ulimit -n` above 4096");
    }
    if (!file) fail("too many files");
    if (is_new || is_emptied) file->durable = 0;
    file->open_count++;
    pthread_mutex_unlock(&tables);
}

static void untrack(struct file *file) {
    int index = (int)(file - files);
    for (int i = 0; i < hole_count; i++)
        if (holes[i].file == index) return;
    REAL(close)(file->own_fd);
    file->used = false;
}

static void push(enum entry_kind kind, const char *path, const char *from, const char *shadow) {
    char parent[PATH_MAX];
    struct stat of = {0};
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash) *slash = 0;
    if (stat(parent, &of) != 0) fail("no parent directory");
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry) fail("no memory");
    entry->kind = kind;
    entry->dev = of.st_dev;
    entry->ino = of.st_ino;
    snprintf(entry->path, sizeof entry->path, "%s", path);
    snprintf(entry->from, sizeof entry->from, "%s", from);
    snprintf(entry->shadow, sizeof entry->shadow, "%s", shadow);
    pthread_mutex_lock(&tables);
    if (entry_count == ENTRIES_MAX) fail("too many entries");
    entry->made = entries_made++;
    entries[entry_count++] = entry;
    pthread_mutex_unlock(&tables);
}

/* Keeps what `path` names under a second name; an empty one when there is nothing. */
static void keep(const char *path, char *shadow) {
    shadow[0] = 0;
    if (access(path, F_OK) != 0) return;
    snprintf(shadow, PATH_MAX, "%s/%ld-%d", shadow_dir, atomic_fetch_add(&shadow_next, 1), (int)getpid());
    if (REAL(link)(path, shadow) != 0) fail("cannot keep a removed file");
}

static void forget(struct entry *entry) {
    if (entry->shadow[0]) REAL(unlink)(entry->shadow);
    free(entry);
}

static void directory_synced(const struct stat *of, long before) {
    pthread_mutex_lock(&tables);
    int kept = 0;
    for (int i = 0; i < entry_count; i++) {
        if (entries[i]->ino == of->st_ino && entries[i]->dev == of->st_dev && entries[i]->made < before)
            forget(entries[i]);
        else
            entries[kept++] = entries[i];
    }
    entry_count = kept;
    pthread_mutex_unlock(&tables);
}

/* --- the loss ------------------------------------------------------------------------------------------------- */

static void remove_tree(const char *path) {
    DIR *directory = opendir(path);
    if (directory) {
        struct dirent *item;
        while ((item = readdir(directory))) {
            char inner[PATH_MAX];
            if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
            if (snprintf(inner, sizeof inner, "%s/%s", path, item->d_name) >= (int)sizeof inner) fail("long path");
            remove_tree(inner);
        }
        closedir(directory);
        rmdir(path);
    } else {
        REAL(unlink)(path);
    }
}

static void undo(struct entry *entry) {
    switch (entry->kind) {
    case CREATED: REAL(unlink)(entry->path); break;
    case DIRECTORY: remove_tree(entry->path); break;
    case RENAMED: REAL(rename)(entry->path, entry->from); break;
    case REMOVED: break;
    }
    if (entry->shadow[0]) REAL(rename)(entry->shadow, entry->path);
}

static void zero(int fd, off_t from, off_t to) {
    static const char zeros[65536];
    while (from < to) {
        size_t length = (size_t)(to - from) < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        if (REAL(pwrite64)(fd, zeros, length, from) < 0) fail("cannot write zeros");
        from += (off_t)length;
    }
}

/* What a disk has of the bytes that were never synced. */
static void tear(int fd, off_t durable, off_t size) {
    off_t kept = durable + (off_t)draw((uint64_t)(size - durable) + 1);
    switch (tail_mode) {
    case 1: REAL(ftruncate64)(fd, kept); break;
    case 2: zero(fd, kept == durable ? kept : (kept + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES, size); break;
    case 3:
        for (off_t at = durable; at < size;) {
            off_t end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
            if (end > size) end = size;
            if (draw(2)) zero(fd, at, end);
            at = end;
        }
        break;
    default: REAL(ftruncate64)(fd, durable);
    }
}

static void lose(const char *cue) __attribute__((noreturn));
static void lose(const char *cue) {
    pthread_rwlock_wrlock(&power);
    long cut = 0, bytes = 0, undone = 0;
    for (int i = 0; i < files_end; i++) {
        struct stat of;
        if (!files[i].used || fstat(files[i].own_fd, &of) != 0) continue;
        if (of.st_size > files[i].durable) {
            cut++;
            bytes += of.st_size - files[i].durable;
            tear(files[i].own_fd, files[i].durable, of.st_size);
        }
    }
    for (int i = 0; i < hole_count; i++) {
        struct stat of;
        int fd = files[holes[i].file].own_fd;
        if (fstat(fd, &of) != 0) continue;
        zero(fd, holes[i].from, of.st_size < holes[i].to ? of.st_size : holes[i].to);
    }
    int kept = entry_count;
    switch (draw(3)) {
    case 0: kept = 0; break;
    case 1: kept = (int)draw((uint64_t)entry_count + 1); break;
    default: break;
    }
    while (entry_count > 0) {
        struct entry *entry = entries[--entry_count];
        if (entry_count >= kept) {
            undone++;
            undo(entry);
        }
        forget(entry);
    }
    if (report) {
        char line[512];
        int length = snprintf(line, sizeof line,
            "cue=%s calls=%ld writes=%ld syncs=%ld failed=%ld overwrites=%ld tail=%ld files_cut=%ld bytes_cut=%ld "
            "entries_undone=%ld\n",
            cue, (long)calls, (long)writes, (long)syncs, (long)failed, (long)overwrites, tail_mode, cut, bytes, undone);
        int fd = REAL(open)(report, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0 || REAL(write)(fd, line, (size_t)length) != length) fail("cannot report");
    }
    _exit(137);
}

/* Every call below the root begins and ends here; the loss falls before it or after it. */
static bool begin(void) {
    long call = atomic_fetch_add(&calls, 1) + 1;
    bool is_last = loss_at && call == loss_at;
    if (is_last && draw(2)) lose("before");
    pthread_rwlock_rdlock(&power);
    return is_last;
}

static void end(bool is_last) {
    int error = errno;
    pthread_rwlock_unlock(&power);
    if (is_last) lose("after");
    errno = error;
}

/* --- the calls ------------------------------------------------------------------------------------------------ */

static int open_at(int dir, const char *path, int flags, mode_t mode) {
    bool is_write = (flags & O_ACCMODE) != O_RDONLY;
    if (!is_ours(path) || !(is_write || (flags & O_CREAT))) return REAL(openat64)(dir, path, flags, mode);
    const char *name = strrchr(path, '/');
    if (name && strcmp(name, "/switch-off") == 0) lose("switch");
    bool is_last = begin();
    bool is_new = access(path, F_OK) != 0;
    int fd = REAL(openat64)(dir, path, flags, mode);
    if (fd >= 0) {
        if (is_new) push(CREATED, path, "", "");
        track(path, fd, is_new, flags & O_TRUNC);
    }
    end(is_last);
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
    struct stat of;
    struct file *file = find_fd(fd, &of);
    if (file) {
        pthread_mutex_lock(&tables);
        if (--file->open_count == 0 && file->durable >= of.st_size) untrack(file);
        pthread_mutex_unlock(&tables);
    }
    return REAL(close)(fd);
}

#define WRITE(type, name, parameters, arguments, at)                                                                   \
    type name parameters {                                                                                             \
        struct stat of;                                                                                                \
        struct file *file = find_fd(fd, &of);                                                                          \
        if (!file) return REAL(name) arguments;                                                                        \
        bool is_last = begin();                                                                                        \
        atomic_fetch_add(&writes, 1);                                                                                  \
        if ((off_t)(at) < file->durable) atomic_fetch_add(&overwrites, 1);                                             \
        type result = REAL(name) arguments;                                                                            \
        end(is_last);                                                                                                  \
        return result;                                                                                                 \
    }
#define POSITION (fcntl(fd, F_GETFL) & O_APPEND ? of.st_size : lseek(fd, 0, SEEK_CUR))
WRITE(ssize_t, write, (int fd, const void *data, size_t length), (fd, data, length), POSITION)
WRITE(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count), POSITION)
WRITE(ssize_t, pwrite, (int fd, const void *data, size_t length, off_t at), (fd, data, length, at), at)
WRITE(ssize_t, pwrite64, (int fd, const void *data, size_t length, off64_t at), (fd, data, length, at), at)

static bool is_to_fail(int fd) {
    char link_path[64], path[PATH_MAX];
    if (!fail_at) return false;
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link_path, path, sizeof path - 1);
    if (length < 0) return false;
    path[length] = 0;
    if (!is_ours(path) || (fail_name && !strstr(path + strlen(root), fail_name))) return false;
    static atomic_long seen;
    return (atomic_fetch_add(&seen, 1) + 1) % fail_at == 0;
}

static int sync_file(int fd, int (*real_sync)(int)) {
    struct stat of;
    if (!root || fstat(fd, &of) != 0) return real_sync(fd);
    pthread_mutex_lock(&tables);
    struct file *file = find(&of);
    pthread_mutex_unlock(&tables);
    if (!file && !S_ISDIR(of.st_mode)) return real_sync(fd);
    bool is_last = begin();
    atomic_fetch_add(&syncs, 1);
    /* Only what was written before the sync began is certain to be in it. */
    if (fstat(fd, &of) != 0) fail("fstat");
    pthread_mutex_lock(&tables);
    long before = entries_made;
    pthread_mutex_unlock(&tables);
    int result = 0;
    if (is_to_fail(fd)) {
        atomic_fetch_add(&failed, 1);
        pthread_mutex_lock(&tables);
        if (file && of.st_size > file->durable) {
            if (hole_count == HOLES_MAX) fail("too many holes");
            holes[hole_count++] = (struct hole){(int)(file - files), file->durable, of.st_size};
        }
        pthread_mutex_unlock(&tables);
        errno = EIO;
        result = -1;
    } else {
        result = real_sync(fd);
        if (result == 0 && !lies) {
            if (file) {
                pthread_mutex_lock(&tables);
                if (of.st_size > file->durable) file->durable = of.st_size;
                pthread_mutex_unlock(&tables);
            } else {
                directory_synced(&of, before);
            }
        }
    }
    end(is_last);
    return result;
}

int fsync(int fd) { return sync_file(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_file(fd, REAL(fdatasync)); }

#define PASS(name, parameters, arguments, effect)                                                                      \
    int name parameters {                                                                                              \
        struct stat of;                                                                                                \
        struct file *file = find_fd(fd, &of);                                                                          \
        if (!file) return REAL(name) arguments;                                                                        \
        bool is_last = begin();                                                                                        \
        int result = REAL(name) arguments;                                                                             \
        effect;                                                                                                        \
        end(is_last);                                                                                                  \
        return result;                                                                                                 \
    }
#define SHORTEN if (result == 0 && length < file->durable) file->durable = length
PASS(sync_file_range, (int fd, off64_t from, off64_t length, unsigned flags), (fd, from, length, flags), )
PASS(ftruncate, (int fd, off_t length), (fd, length), SHORTEN)
PASS(ftruncate64, (int fd, off64_t length), (fd, length), SHORTEN)
PASS(fallocate, (int fd, int mode, off_t from, off_t length), (fd, mode, from, length), )
PASS(fallocate64, (int fd, int mode, off64_t from, off64_t length), (fd, mode, from, length), )

int rename(const char *from, const char *to) {
    if (!is_ours(to)) return REAL(rename)(from, to);
    bool is_last = begin();
    char shadow[PATH_MAX];
    keep(to, shadow);
    int result = REAL(rename)(from, to);
    if (result == 0)
        push(RENAMED, to, from, shadow);
    else if (shadow[0])
        REAL(unlink)(shadow);
    end(is_last);
    return result;
}

int link(const char *from, const char *to) {
    if (!is_ours(to)) return REAL(link)(from, to);
    bool is_last = begin();
    int result = REAL(link)(from, to);
    if (result == 0) push(CREATED, to, "", "");
    end(is_last);
    return result;
}

/* What other languages' libraries call for link. */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    if (from_dir != AT_FDCWD || to_dir != AT_FDCWD) return REAL(linkat)(from_dir, from, to_dir, to, flags);
    return link(from, to);
}

int unlink(const char *path) {
    if (!is_ours(path)) return REAL(unlink)(path);
    bool is_last = begin();
    char shadow[PATH_MAX];
    keep(path, shadow);
    int result = REAL(unlink)(path);
    if (result == 0)
        push(REMOVED, path, "", shadow);
    else if (shadow[0])
        REAL(unlink)(shadow);
    end(is_last);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    if (!is_ours(path)) return REAL(mkdir)(path, mode);
    bool is_last = begin();
    int result = REAL(mkdir)(path, mode);
    if (result == 0) push(DIRECTORY, path, "", "");
    end(is_last);
    return result;
}
