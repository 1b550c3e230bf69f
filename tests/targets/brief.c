// Threads that come and go: THREADS of them, so many a second, at most eight at a time.
// Each stores three values that nobody else stores: its number and a sequence.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

volatile unsigned long counter;

static void *brief(void *number) {
    for (long i = 0; i < 3; i++)
        counter = (long)number << 2 | i;
    return 0;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    long threads = argc > 1 ? atol(argv[1]) : 0;
    double rate = argc > 2 ? atof(argv[2]) : 1e9;
    pthread_t living[8];
    double begun = now();
    for (long number = 0; number < threads; number += 8) {
        for (long i = 0; i < 8; i++)
            pthread_create(&living[i], 0, brief, (void *)(number + i));
        for (long i = 0; i < 8; i++)
            pthread_join(living[i], 0);
        double left = begun + (number + 8) / rate - now();
        if (left > 0) {
            struct timespec pause = {0, (long)(left * 1e9)};
            nanosleep(&pause, 0);
        }
    }
    printf("%.0f threads a second\n", threads / (now() - begun));
    return 0;
}
