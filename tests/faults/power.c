/* Loaded into the real program: remembers what a power cut would leave.
 *
 * Whenever one of the database's files has been flushed, a copy of it goes to $CLAVIGER_FAULTS_FLUSHED, and a file that is removed loses
 * its copy. Whoever waits for the flush waits for the copy, too. See power.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    perror(what);
    abort();
}

/* The copy of the file at this path; 0 when it is none of the database's. */
static int copy_of(const char *path, char *copy) {
    const char *folder = getenv("CLAVIGER_FAULTS_FLUSHED");
    const char *name = strrchr(path, '/');
    if (!folder || !name || strncmp(name, "/claviger.db", 12) != 0 || strstr(name, "-shm")) return 0;
    return snprintf(copy, PATH_MAX, "%s%s", folder, name) < PATH_MAX;
}

/* One copy at a time, over all processes: a later one is never overtaken by an earlier one. */
static int begin(void) {
    pthread_mutex_lock(&turn);
    int lock = open(getenv("CLAVIGER_FAULTS_FLUSHED"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) fail("lock");
    return lock;
}

static void end(int lock) {
    close(lock);
    pthread_mutex_unlock(&turn);
}

/* The copy of the file that is open there; 0 when it is none of the database's. */
static int copy_of_open(int fd, char *copy) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return copy_of(path, copy);
}

static void keep(int fd) {
    char copy[PATH_MAX], next[PATH_MAX + 8], buffer[65536];
    if (!copy_of_open(fd, copy)) return;
    int lock = begin();
    snprintf(next, sizeof next, "%s.next", copy);
    int to = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) fail(next);
    /* By the descriptor that is there: to close another one of this file would end SQLite's locks. */
    for (off_t at = 0;;) {
        ssize_t got = pread(fd, buffer, sizeof buffer, at);
        if (got < 0) fail(copy);
        if (got == 0) break;
        if (write(to, buffer, got) != got) fail(next);
        at += got;
    }
    close(to);
    if (rename(next, copy) != 0) fail(copy);
    end(lock);
}

/* Whether the disk is to be taken for one that fails: somebody has put a file of this name beside the copies. */
static int is_broken(int fd) {
    char copy[PATH_MAX], sign[PATH_MAX];
    if (!copy_of_open(fd, copy)) return 0;
    snprintf(sign, sizeof sign, "%s/broken", getenv("CLAVIGER_FAULTS_FLUSHED"));
    return access(sign, F_OK) == 0;
}

static int flushed(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (is_broken(fd)) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    int error = errno;
    if (result == 0) keep(fd);
    errno = error;
    return result;
}

int fsync(int fd) { return flushed("fsync", fd); }
int fdatasync(int fd) { return flushed("fdatasync", fd); }

int unlink(const char *path) {
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    char copy[PATH_MAX];
    if (!copy_of(path, copy)) return real(path);
    int lock = begin();
    real(copy);
    int result = real(path);
    int error = errno;
    end(lock);
    errno = error;
    return result;
}
