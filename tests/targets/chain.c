// At the line "begin" a chain of 150 threads starts, each created by the one
// before it; the 20th says so, that hwtrace attaches while the chain grows. At
// the next line each stores 50 values.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define THREADS 150
#define STORES 50

volatile unsigned long counter;
static pthread_barrier_t gate;
static pthread_t threads[THREADS];

static void *link_of_chain(void *number) {
    long thread = (long)number;
    usleep(200); // So that the chain grows for as long as attaching takes.
    if (thread == 20) {
        puts("begun");
        fflush(stdout);
    }
    if (thread + 1 < THREADS)
        pthread_create(&threads[thread + 1], 0, link_of_chain, (void *)(thread + 1));
    pthread_barrier_wait(&gate);
    for (long i = 0; i < STORES; i++)
        counter = thread << 32 | i;
    return 0;
}

int main(void) {
    char line[8];
    pthread_barrier_init(&gate, 0, THREADS + 1);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    pthread_create(&threads[0], 0, link_of_chain, 0);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    puts("done");
    return 0;
}
