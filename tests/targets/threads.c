// BEFORE threads that wait, a line of input, then AFTER more; each stores
// 10,000 values that nobody else stores: its number and a sequence.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STORES 10000

volatile unsigned long counter;
static pthread_barrier_t gate;

static void store(long thread) {
    for (long i = 0; i < STORES; i++)
        counter = thread << 32 | i;
}

static void *waits(void *thread) {
    pthread_barrier_wait(&gate);
    store((long)thread);
    return 0;
}

static void *runs(void *thread) {
    store((long)thread);
    return 0;
}

int main(int argc, char **argv) {
    long before = argc > 1 ? atol(argv[1]) : 0;
    long after = argc > 2 ? atol(argv[2]) : 0;
    pthread_t threads[64];
    char line[8];
    pthread_barrier_init(&gate, 0, before + 1);
    for (long i = 0; i < before; i++)
        pthread_create(&threads[i], 0, waits, (void *)i);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    pthread_barrier_wait(&gate);
    for (long i = before; i < before + after; i++)
        pthread_create(&threads[i], 0, runs, (void *)i);
    for (long i = 0; i < before + after; i++)
        pthread_join(threads[i], 0);
    puts("done");
    return 0;
}
