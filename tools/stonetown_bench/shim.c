// Counts the syncs of a program, and makes each take longer. Compiled and preloaded by tools/bench (row `write`).
//
//   STONETOWN_BENCH_SYNC_MICROS  microseconds that each sync takes longer
//   STONETOWN_BENCH_SYNC_FILE    a file of 16 bytes: the number of syncs, and the nanoseconds that they took
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t *counts;
static long micros;

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("STONETOWN_BENCH_SYNC_MICROS");
  const char *path = getenv("STONETOWN_BENCH_SYNC_FILE");
  micros = text ? atol(text) : 0;
  if (!path) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *place = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (place != MAP_FAILED) counts = place;
}

static int sync_with(const char *name, int file) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  if (micros > 0) {
    struct timespec more = {micros / 1000000, micros % 1000000 * 1000};
    nanosleep(&more, NULL);
  }
  int done = real(file);
  clock_gettime(CLOCK_MONOTONIC, &to);
  if (counts) {
    counts[0] += 1;
    counts[1] += (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec));
  }
  return done;
}

int fdatasync(int file) { return sync_with("fdatasync", file); }
int fsync(int file) { return sync_with("fsync", file); }
