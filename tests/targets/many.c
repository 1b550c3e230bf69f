// So many threads that wait, told by its argument, and a line of input at which all of
// them store to `counter` once.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

volatile unsigned long counter;
static pthread_barrier_t gate;

static void *waits(void *thread) {
    pthread_barrier_wait(&gate);
    counter = (unsigned long)thread;
    return 0;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1;
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    pthread_barrier_init(&gate, 0, count + 1);
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], &small, waits, (void *)i))
            return 1;
    puts("ready");
    fflush(stdout);
    getchar();
    pthread_barrier_wait(&gate);
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], 0);
    puts("done");
    return 0;
}
