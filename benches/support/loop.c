/* The program that is measured. It says that it is there. On each line "N PAUSE" of standard input it stores
 * N times, with a pause of so many nanoseconds after each, and prints the thread's
 * CPU time and the time that passed, both in nanoseconds. With an argument N it does so
 * on top of so many calls, each of which has a KiB of the stack. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

volatile unsigned long counter;
/* Nobody touches these. */
volatile unsigned long idle[64];

static unsigned long long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static __attribute__((noinline)) void store(unsigned long value) {
    /* One instruction with a name, to compare what tools say with. */
    __asm__ volatile("store_here: mov %0, counter(%%rip)" : : "r"(value) : "memory");
}

static __attribute__((noinline)) int run(void) {
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        unsigned long stores, pause;
        if (sscanf(line, "%lu %lu", &stores, &pause) != 2)
            return 1;
        struct timespec time = {0, (long)pause};
        unsigned long long cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
        unsigned long long wall = now_ns(CLOCK_MONOTONIC);
        for (unsigned long i = 0; i < stores; i++) {
            store(i);
            if (pause)
                nanosleep(&time, NULL);
        }
        printf("%llu ", now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu);
        printf("%llu\n", now_ns(CLOCK_MONOTONIC) - wall);
        fflush(stdout);
    }
    return 0;
}

static __attribute__((noinline)) int call(int depth) {
    volatile char own[1024];
    for (unsigned i = 0; i < sizeof own; i++)
        own[i] = (char)depth;
    int result = depth > 0 ? call(depth - 1) : run();
    return result + own[0] - own[1];
}

int main(int count, char **arguments) {
    return count > 1 ? call(atoi(arguments[1])) : run();
}
