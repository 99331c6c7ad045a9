/* Put before the C library by LD_PRELOAD: a disk that takes its time, and one that fails.
 *   SLOW_DISK_MS        how long every msync takes
 *   SLOW_DISK_FAILS     msync fails with EIO while this file exists
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int msync(void *start, size_t length, int flags) {
  const char *fails = getenv("SLOW_DISK_FAILS");
  const char *slow = getenv("SLOW_DISK_MS");
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
