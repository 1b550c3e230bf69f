// Stores to `watched` by paths that are known by construction, so many times each, and says
// at the end how often it took each path.
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

volatile long watched;
static sigjmp_buf back;

#define APART __attribute__((noinline, noclone))
// What follows the call keeps it from being a jump.
#define STAY() __asm__ volatile("")
// Compilers leave the frame out where nothing is called, unless it is asked for.
#ifdef FRAMES
#define FRAME() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))
#else
#define FRAME() STAY()
#endif

APART void leaf(void) {
    FRAME();
    watched++;
    FRAME();
}

static inline __attribute__((always_inline)) void inner(void) { watched += 2; }
static inline __attribute__((always_inline)) void outer(void) { inner(); }
APART void inlines(void) {
    FRAME();
    outer();
    FRAME();
}

APART void recurses(int n) {
    if (n > 1)
        recurses(n - 1);
    else
        leaf();
    STAY();
}

static void handler(int signal) {
    (void)signal;
    leaf();
    STAY();
}

// A system call of a function that has no frame: the signal comes as it returns.
APART void interrupted(void) {
    pid_t pid = getpid();
    pid_t tid = gettid();
    register long signal __asm__("rdx") = SIGUSR1;
    long number = 234;
    __asm__ volatile("syscall" : "+a"(number)
                     : "D"((long)pid), "S"((long)tid), "r"(signal) : "rcx", "r11", "memory");
}

static int compares(const void *a, const void *b) {
    leaf();
    return *(const int *)a - *(const int *)b;
}

APART void sorts(void) {
    int numbers[] = {1, 2};
    qsort(numbers, 2, sizeof *numbers, compares);
    STAY();
}

// The call is its last instruction.
APART __attribute__((noreturn)) void leaves(void) {
    leaf();
    siglongjmp(back, 1);
}
APART __attribute__((noreturn)) void never_returns(void) { leaves(); }
APART void comes_back(void) {
    if (!sigsetjmp(back, 1))
        never_returns();
    STAY();
}

static void *works(void *rounds) {
    for (long i = 0; i < (long)rounds; i++)
        recurses(2);
    return 0;
}

extern void shelved(void (*call)(void));
APART void in_library(void) { shelved(leaf); STAY(); }

static void times(int n, void (*path)(void), const char *name) {
    for (int i = 0; i < n; i++) {
        path();
        STAY();
    }
    printf("path %s %d\n", name, n);
}

APART void recursion(void) { recurses(5); STAY(); }

APART void forks(void) {
    if (fork() == 0) {
        leaf();
        execl("/bin/true", "true", (char *)0);
        _exit(1);
    }
    wait(0);
}

int main(void) {
    pthread_t thread;
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, 0);
    times(3, leaf, "leaf");
    times(4, inlines, "inlines");
    times(5, recursion, "recursion");
    times(6, interrupted, "interrupted");
    times(7, sorts, "sorts");
    times(8, comes_back, "comes_back");
    times(9, in_library, "in_library");
    times(2, forks, "forks");
    pthread_create(&thread, 0, works, (void *)10L);
    pthread_join(thread, 0);
    printf("path works 10\ndone\n");
    return 0;
}
