/* The program that is measured: on each line "N" of standard input it stores
 * N times and prints the thread's CPU time for that, in nanoseconds. */
#include <stdio.h>
#include <time.h>

volatile unsigned long counter;

static unsigned long long cpu_time_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int main(void) {
    unsigned long stores;
    while (scanf("%lu", &stores) == 1) {
        unsigned long long start = cpu_time_ns();
        for (unsigned long i = 0; i < stores; i++)
            counter = i;
        printf("%llu\n", cpu_time_ns() - start);
        fflush(stdout);
    }
}
