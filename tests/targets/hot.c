// Stores N times with WORK steps of work before each, when it is told to: first to what
// nobody watches, then to `counter`. Prints how much of a processor's time each took, in
// microseconds.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

volatile unsigned long counter, other;
static volatile unsigned long sum;

__attribute__((noinline)) static long store(volatile unsigned long *to, long n, long work) {
    struct timespec begun, ended;
    unsigned long x = 1;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    for (long i = 0; i < n; i++) {
        for (long k = 0; k < work; k++)
            x = x * 6364136223846793005UL + 1;
        *to = i;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    sum = x;
    return (ended.tv_sec - begun.tv_sec) * 1000000 + (ended.tv_nsec - begun.tv_nsec) / 1000;
}

int main(int argc, char **argv) {
    long n = atol(argv[1]), work = atol(argv[2]);
    char line[8];
    puts("ready");
    fflush(stdout);
    for (int i = 0; fgets(line, sizeof line, stdin); i++) {
        printf("%ld\n", store(i ? &counter : &other, n, work));
        fflush(stdout);
    }
    return 0;
}
