/* A wall clock that is wrong by as many seconds as stand, as a 64-bit number, in the file that SHIM_CLOCK names; the test
 * writes it while the process runs. Clocks that nobody can set are as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *offset;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("SHIM_CLOCK");
    if (!file) return;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) abort();
    void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) abort();
    close(fd);
    offset = mapped;
}

static int64_t seconds(void) { return offset ? atomic_load(offset) : 0; }

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*_Atomic known)(clockid_t, struct timespec *);
    if (!known) known = (int (*)(clockid_t, struct timespec *))real("clock_gettime");
    int result = known(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += seconds();
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
