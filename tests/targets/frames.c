// Stores to `watched` from functions whose frames are of every kind: with arrays of any
// size, realigned, below signals, on another stack, left by longjmp, never returned to.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

volatile long watched;
static volatile sig_atomic_t came;
static sigjmp_buf back;

#define APART __attribute__((noinline, noclone))

APART void begin(void) { __asm__ volatile(""); }
APART void leaf(void) { watched++; }
APART int tail(int n) { watched += n; return n; }
APART int jumps(int n) { return tail(n + 1); }

static inline __attribute__((always_inline)) void innermost(int n) { watched += n; }
static inline __attribute__((always_inline)) void inner(int n) { innermost(n * 2); }
APART void inlines(int n) { inner(n); }

APART void sized(int n) {
    char *some = alloca(n);
    memset(some, n, n);
    leaf();
    watched += some[n / 2];
}

// The stack is realigned, and found by another register meanwhile.
APART void aligned(int n) {
    char some[64] __attribute__((aligned(64)));
    char *more = alloca(n);
    memset(some, n, sizeof some);
    memset(more, n, n);
    watched += some[n] + more[1];
    leaf();
}

APART long deep(int n) {
    if (n == 0) {
        leaf();
        return 0;
    }
    return deep(n - 1) + n;
}

static int compare(const void *a, const void *b) {
    watched++;
    return *(const int *)a - *(const int *)b;
}

APART void sorts(void) {
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
}

APART __attribute__((noreturn)) void leaves(void) {
    watched++;
    siglongjmp(back, 1);
}

// The call is its last instruction: it would return to the next function.
APART void never_returns(int n) {
    if (n)
        leaves();
    watched++;
    leaves();
}

static void handler(int signal) {
    watched += signal;
    came = 1;
}

static void faulted(int signal) {
    watched += signal;
    siglongjmp(back, 1);
}

// Its first instruction faults: no call is before it.
void faults(void);
__asm__(".text\n.globl faults\n.type faults, @function\nfaults:\n.cfi_startproc\n"
        "movl $1, 0\nret\n.cfi_endproc\n.size faults, . - faults\n");

static void on(int signal, void (*handle)(int), int flags) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(signal, &action, 0);
}

static void tick(void) {
    struct itimerval soon = {.it_value.tv_usec = 2000};
    came = 0;
    setitimer(ITIMER_REAL, &soon, 0);
}

APART void spins(void) {
    while (!came)
        ;
}

APART void asks_time(void) {
    struct timespec now;
    while (!came)
        clock_gettime(CLOCK_MONOTONIC, &now);
}

APART void interrupted(void) {
    on(SIGALRM, handler, 0);
    for (int i = 0; i < 4; i++) {
        tick();
        spins();
        tick();
        asks_time();
    }
    raise(SIGALRM);
    on(SIGSEGV, faulted, SA_NODEFER);
    if (!sigsetjmp(back, 1))
        faults();
}

static void *works(void *argument) {
    deep(2);
    return argument;
}

APART void threads(void) {
    pthread_t thread;
    pthread_create(&thread, 0, works, 0);
    pthread_join(thread, 0);
}

static void at_exit(void) { leaf(); }

int main(int count, char **arguments) {
    if (count > 1) {
        stack_t other = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
        sigaltstack(&other, 0);
        begin();
        on(SIGUSR1, handler, SA_ONSTACK);
        raise(SIGUSR1);
        return 0;
    }
    begin();
    leaf();
    jumps(1);
    inlines(2);
    for (int i = 3; i < 40; i += 7) {
        sized(i);
        aligned(i);
    }
    deep(5);
    sorts();
    if (!sigsetjmp(back, 1))
        never_returns(0);
    if (!sigsetjmp(back, 1))
        never_returns(1);
    interrupted();
    threads();
    atexit(at_exit);
    return 0;
}
