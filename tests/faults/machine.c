/* Put before the C library by LD_PRELOAD: a machine whose disk is slow or fails, and whose clock somebody sets.
 *   MACHINE_SYNC_MS       how long every msync takes
 *   MACHINE_SYNC_FAILS    msync fails with EIO while this file exists
 *   MACHINE_CLOCK         a file of eight bytes: by how many seconds the wall clock is wrong (int64, native order)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *wrong;

__attribute__((constructor)) static void map_clock(void) {
  const char *path = getenv("MACHINE_CLOCK");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof *wrong, PROT_READ, MAP_SHARED, file, 0);
  if (mapped != MAP_FAILED) wrong = mapped;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME && wrong != NULL) now->tv_sec += *wrong;
  return result;
}

int msync(void *start, size_t length, int flags) {
  const char *fails = getenv("MACHINE_SYNC_FAILS");
  const char *slow = getenv("MACHINE_SYNC_MS");
  if (fails != NULL && access(fails, F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  if (slow != NULL) {
    long ms = strtol(slow, NULL, 10);
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
  }
  return (int)syscall(SYS_msync, start, length, flags);
}
