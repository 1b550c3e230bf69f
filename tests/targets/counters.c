/* 64 counters that four threads raise at rates of their own, by the clock, whether they
   are watched or not. Each value names its counter in its upper half. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4, COUNTERS = 64, OWN = COUNTERS / THREADS };

volatile uint64_t counters[COUNTERS] __attribute__((aligned(64)));
static uint64_t ticks;

static void *raise(void *arg) {
    long thread = (long)arg;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint64_t tick = 0; tick < ticks; tick++) {
        /* Counter k of the thread k + 1 times in 16 ticks of 250 microseconds. */
        for (uint64_t k = 0; k < OWN; k++) {
            if ((tick * (k + 1)) % OWN < k + 1) {
                uint64_t number = thread * OWN + k;
                uint64_t count = (uint32_t)counters[number] + 1;
                counters[number] = number << 32 | count;
            }
        }
        next.tv_nsec += 250000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0);
    }
    return 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    ticks = argc > 1 ? strtoull(argv[1], 0, 10) : 40000;
    for (long t = 0; t < THREADS; t++) pthread_create(&threads[t], 0, raise, (void *)t);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], 0);
    for (int k = 0; k < COUNTERS; k++) printf("%u\n", (unsigned)(uint32_t)counters[k]);
    return 0;
}
