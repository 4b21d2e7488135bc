/* GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
 *
 * Shift the wall clock of a process by the seconds in a file, for a year that is run in minutes.
 *
 *   LD_PRELOAD=clock.so PMS_TEST_CLOCK=/path/of/offset program
 *
 * Debian's libfaketime 0.9.10 does this too, but with Python 3.11 and newer time.sleep fails (EINVAL
 * of clock_nanosleep) or, where it shifts the monotonic clock as well, waits for an event never end.
 * This one leaves the monotonic clock and every duration alone. Times of files go along, so that no
 * file is of the future. Programs of Go (docker, restic) do not ask libc, and keep their clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The seconds of the file, read again each quarter of a second. */
static long long offset(void)
{
    static _Thread_local long long known, known_at = -1000;
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    long long tick = now.tv_sec * 4LL + now.tv_nsec / 250000000;
    if (tick == known_at)
        return known;
    char text[32] = "";
    const char *path = getenv("PMS_TEST_CLOCK");
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        if (syscall(SYS_read, file, text, sizeof text - 1) > 0)
            known = atoll(text);
        syscall(SYS_close, file);
    }
    known_at = tick;
    return known;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int status = (int)syscall(SYS_clock_gettime, clock, at);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        at->tv_sec += offset();
    return status;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *at, int base)
{
    clock_gettime(CLOCK_REALTIME, at);
    return base;
}

/* What waits until a moment of the wall clock is told that moment by the real one. */
static struct timespec real(const struct timespec *at)
{
    struct timespec moment = *at;
    moment.tv_sec -= offset();
    return moment;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *at, struct timespec *left)
{
    struct timespec moment = *at;
    if (clock == CLOCK_REALTIME && (flags & TIMER_ABSTIME))
        moment = real(at);
    return NEXT(clock_nanosleep)(clock, flags, &moment, left);
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict lock, const struct timespec *restrict at)
{
    struct timespec moment = real(at);
    return NEXT(pthread_mutex_timedlock)(lock, &moment);
}

#define AGED(stat)                            \
    do {                                      \
        if (status == 0) {                    \
            long long seconds = offset();     \
            (stat)->st_atim.tv_sec += seconds; \
            (stat)->st_mtim.tv_sec += seconds; \
            (stat)->st_ctim.tv_sec += seconds; \
        }                                     \
    } while (0)

int stat(const char *restrict path, struct stat *restrict found)
{
    int status = NEXT(stat)(path, found);
    AGED(found);
    return status;
}

int lstat(const char *restrict path, struct stat *restrict found)
{
    int status = NEXT(lstat)(path, found);
    AGED(found);
    return status;
}

int fstat(int file, struct stat *found)
{
    int status = NEXT(fstat)(file, found);
    AGED(found);
    return status;
}

int fstatat(int folder, const char *restrict path, struct stat *restrict found, int flags)
{
    int status = NEXT(fstatat)(folder, path, found, flags);
    AGED(found);
    return status;
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    struct timespec moments[2];
    if (!times)
        return NEXT(utimensat)(folder, path, times, flags);
    for (int each = 0; each < 2; each++) {
        moments[each] = times[each];
        if (times[each].tv_nsec != UTIME_NOW && times[each].tv_nsec != UTIME_OMIT)
            moments[each].tv_sec -= offset();
    }
    return NEXT(utimensat)(folder, path, moments, flags);
}

int futimens(int file, const struct timespec times[2])
{
    struct timespec moments[2];
    if (!times)
        return NEXT(futimens)(file, times);
    for (int each = 0; each < 2; each++) {
        moments[each] = times[each];
        if (times[each].tv_nsec != UTIME_NOW && times[each].tv_nsec != UTIME_OMIT)
            moments[each].tv_sec -= offset();
    }
    return NEXT(futimens)(file, moments);
}

/* Programs that are built for large files, as Python is, call these; the structures are the same. */
#define ALSO(name)                                         \
    extern __typeof__(name) name##_64 __asm__(#name "64") \
        __attribute__((alias(#name), copy(name)))
ALSO(stat);
ALSO(lstat);
ALSO(fstat);
ALSO(fstatat);
