/* A layer between a process and the C library that watches, stops and forges what changes one directory.
 *
 * Preloaded (LD_PRELOAD) into any process, it counts each call that changes what lies under a root: creations, writes,
 * cuts, syncs, renames, links, removals, new directories; of Python, of delta-rs and of Arrow alike. Processes that
 * share a control file share the count. At a chosen number the process kills itself (-9) before the call is made, or
 * the whole machine dies: every process does so at its next call. Chosen calls fail with an errno. Every call is noted
 * in a journal with its bytes, in the order in which they happened, so that tests/faults/survival.py can tell what a
 * loss of power leaves. And the clock (not the monotonic one) can be moved while processes run.
 *
 * Not modelled: writes through mmap, sendfile, copy_file_range, io_uring and stdio streams (the test compares the
 * journal with the directory, so one that came into use would be seen), the permissions of files, locks, file times.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE, WRITE, TRUNCATE, SYNC, SYNC_DIRECTORY, RENAME, LINK, REMOVE, MAKE_DIRECTORY };

struct control { /* tests/faults/machine.py knows these fields by their place */
    int64_t calls, kill_at, machine, dead, fault_from, fault_to, fault_errno, fault_kinds, fault_half, hits, clock;
    int64_t ready, room[4];
    pthread_mutex_t mutex;
};

struct record {
    uint32_t magic, kind, error, pid;
    int64_t at;
    uint32_t path, other, data, number;
};

static struct control *control;
static char root[PATH_MAX], base[PATH_MAX];
static size_t root_length;
static int journal = -1;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void lock(void) {
    if (pthread_mutex_lock(&control->mutex) == EOWNERDEAD) pthread_mutex_consistent(&control->mutex);
}

static void unlock(void) {
    int saved = errno;
    pthread_mutex_unlock(&control->mutex);
    errno = saved;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Attach this process: to a control file of one page, a journal (or ""), and the directory that is watched. */
void plug_attach(const char *control_path, const char *journal_path, const char *directory) {
    int descriptor = syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
    if (descriptor < 0) { perror(control_path); abort(); }
    struct control *mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    syscall(SYS_close, descriptor);
    if (journal >= 0) syscall(SYS_close, journal);
    journal = *journal_path ? syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0) : -1;
    if (journal >= 0) { /* far from the numbers that tests count */
        int high = fcntl(journal, F_DUPFD_CLOEXEC, 900);
        if (high >= 0) { syscall(SYS_close, journal); journal = high; }
    }
    if (!realpath(directory, root)) { perror(directory); abort(); }
    root_length = strlen(root);
    control = mapped;
}

/* Make the lock of a new control file. */
void plug_prepare(const char *control_path) {
    int descriptor = syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
    struct control *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&made->mutex, &attributes);
    munmap(made, 4096);
    syscall(SYS_close, descriptor);
}

__attribute__((constructor)) static void start(void) {
    const char *control_path = getenv("PLUG_CONTROL"), *directory = getenv("PLUG_ROOT");
    const char *journal_path = getenv("PLUG_JOURNAL");
    if (control_path && directory) plug_attach(control_path, journal_path ? journal_path : "", directory);
}

/* The path below the root, in `found`; NULL where it is elsewhere. */
static const char *below(int directory, const char *path, char *found) {
    char full[2 * PATH_MAX];
    if (!control || !path) return NULL;
    if (*path == '/') snprintf(full, sizeof full, "%s", path);
    else {
        char link[64];
        if (directory == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (length < 0) return NULL;
        snprintf(full, sizeof full, "%.*s/%s", (int)length, base, path);
    }
    if (strncmp(full, root, root_length) || (full[root_length] != '/' && full[root_length])) return NULL;
    char *to = found;
    for (const char *from = full + root_length; *from; from++) { /* without the doubled and the last slashes */
        if (*from == '/' && (to == found || from[1] == '/' || !from[1])) continue;
        if (to - found < PATH_MAX - 1) *to++ = *from;
    }
    *to = 0;
    return found;
}

/* The name of an open file below the root; NULL where it is elsewhere, or was removed. */
static const char *opened(int file, char *found) {
    char link[64], full[PATH_MAX];
    if (!control || file < 0) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, full, sizeof full - 1);
    if (length <= 0 || full[0] != '/') return NULL;
    full[length] = 0;
    if (length > 10 && !strcmp(full + length - 10, " (deleted)")) return NULL;
    return below(AT_FDCWD, full, found);
}

/* Count a call; the lock is held afterwards. Return the errno with which it has to fail, or 0. */
static int begin(int kind) {
    lock();
    if (control->dead) die();
    int64_t number = ++control->calls;
    if (number == control->kill_at) {
        control->calls--; /* it was not made */
        control->dead = control->machine;
        die();
    }
    if (control->fault_from && number >= control->fault_from && number <= control->fault_to &&
        (control->fault_kinds >> kind & 1)) {
        control->hits++;
        return control->fault_errno;
    }
    return 0;
}

static void note(int kind, int error, const char *path, const char *other, int64_t at, const struct iovec *data, int n) {
    if (journal < 0) return;
    int saved = errno;
    struct iovec parts[3 + 1024];
    size_t length = 0;
    if (n > 1024) abort();
    for (int i = 0; i < n; i++) { parts[3 + i] = data[i]; length += data[i].iov_len; }
    struct record record = {0x47554c50, kind, error, getpid(), at, strlen(path), other ? strlen(other) : 0, length,
                            (uint32_t)control->calls};
    parts[0] = (struct iovec){&record, sizeof record};
    parts[1] = (struct iovec){(void *)path, record.path};
    parts[2] = (struct iovec){(void *)(other ? other : ""), record.other};
    if (syscall(SYS_writev, journal, parts, 3 + n) != (ssize_t)(sizeof record + record.path + record.other + length))
        abort();
    errno = saved;
}

static int failed(int kind, int error, const char *path, const char *other) {
    note(kind, error, path, other, 0, NULL, 0);
    unlock();
    errno = error;
    return -1;
}

/* ---- files ---- */

static int open_(int directory, const char *path, int flags, mode_t mode) {
    char name[PATH_MAX];
    const char *found = (flags & (O_CREAT | O_TRUNC)) && (flags & O_TMPFILE) != O_TMPFILE ? below(directory, path, name) : NULL;
    if (!found) return syscall(SYS_openat, directory, path, flags, mode);
    struct stat status;
    if (syscall(SYS_newfstatat, directory, path, &status, 0) == 0 && !(flags & O_TRUNC))
        return syscall(SYS_openat, directory, path, flags, mode);
    int error = begin(CREATE);
    if (error) return failed(CREATE, error, found, NULL);
    int result = syscall(SYS_openat, directory, path, flags, mode);
    if (result >= 0) note(CREATE, 0, found, NULL, 0, NULL, 0);
    unlock();
    return result;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) return open_(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_(at, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open_(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Write; at < 0: where the file stands. */
static ssize_t write_(int file, const struct iovec *data, int n, off_t at) {
    char name[PATH_MAX];
    const char *found = opened(file, name);
    if (!found)
        return at < 0 ? syscall(SYS_writev, file, data, n) : syscall(SYS_pwritev, file, data, n, at, 0L);
    int error = begin(WRITE);
    struct iovec half;
    if (error && control->fault_half && control->hits == 1 && data[0].iov_len > 1) {
        half = (struct iovec){data[0].iov_base, data[0].iov_len / 2}; /* a full disk takes what still fits */
        data = &half, n = 1, error = 0;
    }
    if (error) return failed(WRITE, error, found, NULL);
    ssize_t result = at < 0 ? syscall(SYS_writev, file, data, n) : syscall(SYS_pwritev, file, data, n, at, 0L);
    if (result > 0) {
        off_t place = at < 0 ? syscall(SYS_lseek, file, 0L, SEEK_CUR) - result : at;
        struct iovec parts[1024];
        int used = 0;
        for (ssize_t left = result; left > 0 && used < 1024; used++) {
            parts[used] = data[used];
            if ((ssize_t)parts[used].iov_len > left) parts[used].iov_len = left;
            left -= parts[used].iov_len;
        }
        note(WRITE, 0, found, NULL, place, parts, used);
    }
    unlock();
    return result;
}

ssize_t write(int file, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    return write_(file, &part, 1, -1);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    struct iovec part = {(void *)data, size};
    return write_(file, &part, 1, at);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) { return pwrite(file, data, size, at); }
ssize_t writev(int file, const struct iovec *data, int n) { return write_(file, data, n, -1); }
ssize_t pwritev(int file, const struct iovec *data, int n, off_t at) { return write_(file, data, n, at); }
ssize_t pwritev64(int file, const struct iovec *data, int n, off64_t at) { return write_(file, data, n, at); }

int ftruncate(int file, off_t size) {
    char name[PATH_MAX];
    const char *found = opened(file, name);
    if (!found) return syscall(SYS_ftruncate, file, size);
    int error = begin(TRUNCATE);
    if (error) return failed(TRUNCATE, error, found, NULL);
    int result = syscall(SYS_ftruncate, file, size);
    if (result == 0) note(TRUNCATE, 0, found, NULL, size, NULL, 0);
    unlock();
    return result;
}
int ftruncate64(int file, off64_t size) { return ftruncate(file, size); }

static int sync_(int file, long number) {
    char name[PATH_MAX];
    struct stat status;
    const char *found = opened(file, name);
    if (!found || syscall(SYS_fstat, file, &status)) return syscall(number, file);
    int kind = S_ISDIR(status.st_mode) ? SYNC_DIRECTORY : SYNC;
    int error = begin(kind);
    if (error) return failed(kind, error, found, NULL);
    note(kind, 0, found, NULL, 0, NULL, 0); /* the tests' own disks are in memory: there is nothing to wait for */
    unlock();
    return 0;
}
int fsync(int file) { return sync_(file, SYS_fsync); }
int fdatasync(int file) { return sync_(file, SYS_fdatasync); }

/* ---- names ---- */

static int pair(int kind, long number, int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char first[PATH_MAX], second[PATH_MAX];
    const char *source = below(from_at, from, first), *target = below(to_at, to, second);
    if (!source || !target) return syscall(number, from_at, from, to_at, to, flags);
    int error = begin(kind);
    if (error) return failed(kind, error, source, target);
    int result = syscall(number, from_at, from, to_at, to, flags);
    if (result == 0) note(kind, 0, source, target, 0, NULL, 0);
    unlock();
    return result;
}
int rename(const char *from, const char *to) { return pair(RENAME, SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return pair(RENAME, SYS_renameat2, a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return pair(RENAME, SYS_renameat2, a, from, b, to, flags);
}
int link(const char *from, const char *to) { return pair(LINK, SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    return pair(LINK, SYS_linkat, a, from, b, to, flags);
}

static int single(int kind, long number, int at, const char *path, int argument) {
    char name[PATH_MAX];
    const char *found = below(at, path, name);
    struct stat status;
    int there = syscall(SYS_newfstatat, at, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (!found || there == (kind == MAKE_DIRECTORY)) return syscall(number, at, path, argument); /* changes nothing */
    int error = begin(kind);
    if (error) return failed(kind, error, found, NULL);
    int result = syscall(number, at, path, argument);
    if (result == 0) note(kind, 0, found, NULL, 0, NULL, 0);
    unlock();
    return result;
}
int unlink(const char *path) { return single(REMOVE, SYS_unlinkat, AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return single(REMOVE, SYS_unlinkat, at, path, flags); }
int mkdir(const char *path, mode_t mode) { return single(MAKE_DIRECTORY, SYS_mkdirat, AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return single(MAKE_DIRECTORY, SYS_mkdirat, at, path, mode); }

/* ---- the clock ---- */

int clock_gettime(clockid_t id, struct timespec *found) {
    REAL(clock_gettime);
    int result = real ? real(id, found) : (int)syscall(SYS_clock_gettime, id, found);
    if (result == 0 && control && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) found->tv_sec += control->clock;
    return result;
}
int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *found = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}
