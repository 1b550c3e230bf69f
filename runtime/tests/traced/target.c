/* Says `ready`, waits for a line, does what its argument says, and tells what came of it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

volatile unsigned long counter;
volatile unsigned int word[8];
__thread volatile unsigned long own;
volatile int handled;
volatile long sum;
extern char **environ;

__attribute__((noinline)) void store(unsigned long n) {
    for (unsigned long i = 0; i < n; i++) counter = i;
}

static void *thread(void *number) {
    store((unsigned long)number);
    return 0;
}

static void told(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    handled++;
    sum += info->si_value.sival_int;
}

static void handle(int signal) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = told;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal, &action, 0);
}

static void wait_for_line(void) {
    int byte;
    puts("ready");
    fflush(stdout);
    while ((byte = getchar()) != '\n' && byte != EOF) {}
}

static int threads(int rounds) {
    for (int round = 0; round < rounds; round++) {
        pthread_t two[2];
        for (int i = 0; i < 2; i++) pthread_create(two + i, 0, thread, (void *)20ul);
        for (int i = 0; i < 2; i++) pthread_join(two[i], 0);
    }
    return 0;
}

static void *creator(void *unused) {
    for (;;) {
        pthread_t one;
        if (!pthread_create(&one, 0, thread, (void *)1ul)) pthread_join(one, 0);
    }
    return unused;
}

/* Threads that create others for ever. */
static int creators(int count) {
    pthread_t one;
    for (int i = 0; i < count; i++) pthread_create(&one, 0, creator, 0);
    for (;;) pause();
}

static void *stores_slowly(void *unused) {
    for (unsigned long i = 0;; i++) counter = i, usleep(1000);
    return unused;
}

/* The first thread ends, and another one goes on for ever. */
static int headless(void) {
    pthread_t one;
    pthread_create(&one, 0, stores_slowly, 0);
    pthread_exit(0);
}

static int children(int rounds) {
    for (int round = 0; round < rounds; round++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            store(10);
            _exit(7);
        }
        if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 1;
        char *arguments[] = {"true", 0};
        if (posix_spawn(&child, "/bin/true", 0, 0, arguments, environ)) return 2;
        if (waitpid(child, &status, 0) != child || status != 0) return 3;
    }
    store(1);
    return 0;
}

/* Stores until as many signals came as it was told, each with a value. */
static int signals(int count) {
    handle(SIGRTMIN);
    wait_for_line();
    for (unsigned long i = 0; handled < count; i++) counter = i;
    return 0;
}

static int traps(void) {
    handle(SIGTRAP);
    for (int i = 0; i < 10; i++) {
        store(3);
        raise(SIGTRAP);
        __asm__ volatile("int3");
    }
    return 0;
}

static int waits(int count) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, 0);
    for (int i = 0; i < count; i++) {
        int signal = 0;
        counter = i;
        kill(getpid(), SIGUSR2);
        if (sigwait(&set, &signal) || signal != SIGUSR2) return 1;
    }
    return 0;
}

/* The flags that it stores must not have the bit of single steps. */
static int flags(int count) {
    for (int i = 0; i < count; i++) {
        unsigned long flags;
        __asm__ volatile("pushf\n\tpop %0\n\tpush %0\n\tpopf" : "=r"(flags)::"cc");
        if (flags & 0x100) return 1;
        counter = i;
    }
    wait_for_line();
    store(1);
    return 0;
}

static int narrow(void) {
    for (unsigned i = 0; i < 8; i++) word[i] = i + 1;
    unsigned all = 0;
    for (unsigned i = 0; i < 8; i++) all += word[i];
    return all != 36;
}

static int receives(void) {
    int ends[2];
    unsigned long value = 5;
    return pipe(ends) || write(ends[1], &value, 8) != 8
        || read(ends[0], (void *)&counter, 8) != 8 || counter != 5;
}

static int named(void) {
    prctl(PR_SET_NAME, "another");
    usleep(20000);
    store(1);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    int number = argc > 2 ? atoi(argv[2]) : 0, result = 9;
    if (strcmp(what, "again")) wait_for_line();
    if (!strcmp(what, "store") || !strcmp(what, "again")) store(number), result = 0;
    if (!strcmp(what, "threads")) result = threads(number);
    if (!strcmp(what, "creators")) result = creators(number);
    if (!strcmp(what, "headless")) result = headless();
    if (!strcmp(what, "children")) result = children(number);
    if (!strcmp(what, "signals")) result = signals(number);
    if (!strcmp(what, "traps")) result = traps();
    if (!strcmp(what, "waits")) result = waits(number);
    if (!strcmp(what, "flags")) result = flags(number);
    if (!strcmp(what, "narrow")) result = narrow();
    if (!strcmp(what, "receives")) result = receives();
    if (!strcmp(what, "named")) result = named();
    if (!strcmp(what, "exec")) {
        store(50);
        execl("/proc/self/exe", "again", "again", "50", (char *)0);
    }
    printf("%d %lu %d %ld\n", result, counter, handled, sum);
    return result;
}
