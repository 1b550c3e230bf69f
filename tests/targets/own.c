// Each thread has its own `mine`.
//   own THREADS STORES   as many threads store as often; before, each lets some time
//                        pass, in which its watch is armed
//   own wait THREADS STORES   the threads are there before it says `ready`, and store
//                        once a line was read
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS_MAX = 200, PAUSE_US = 400000 };

__thread volatile long mine = 5;
static long stores;
static pthread_barrier_t told;
static int waits;

__attribute__((noinline)) static void store(long value) {
    mine = value;
}

static void *work(void *number) {
    if (waits)
        pthread_barrier_wait(&told);
    else
        usleep(PAUSE_US);
    for (long i = 0; i < stores; i++)
        store((long)number * 1000 + i);
    return 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS_MAX];
    char line[16];
    waits = argc > 1 && strcmp(argv[1], "wait") == 0;
    long count = argc > 2 + waits ? atol(argv[1 + waits]) : 0;
    stores = argc > 2 + waits ? atol(argv[2 + waits]) : 0;
    store(1);
    store(2);
    pthread_barrier_init(&told, 0, count + 1);
    for (long i = 0; i < count; i++)
        pthread_create(&threads[i], 0, work, (void *)(i + 1));
    puts("ready");
    fflush(stdout);
    if (waits && fgets(line, sizeof line, stdin))
        pthread_barrier_wait(&told);
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], 0);
    store(3);
    puts("bye");
    return 0;
}
