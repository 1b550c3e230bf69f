// THREADS threads, each on a CPU of its own as far as there are so many, store as
// fast as they can: STORES times each, or with "s" behind it for so many seconds.
// What a thread stores names it: its number and a sequence. Prints how many
// stores there were, and how many of them with a sequence that 1000 divides.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

volatile unsigned long counter;
static unsigned long stores, seconds;
static pthread_barrier_t gate;

struct worker {
    pthread_t thread;
    unsigned long number, stored, thousands;
};

static time_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void *store(void *of) {
    struct worker *worker = of;
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(worker->number % sysconf(_SC_NPROCESSORS_ONLN), &cpu);
    sched_setaffinity(0, sizeof cpu, &cpu);
    pthread_barrier_wait(&gate);
    time_t end = now() + seconds;
    unsigned long i;
    for (i = 0; stores ? i < stores : i % 1024 || now() < end; i++)
        counter = worker->number << 32 | i;
    worker->stored = i;
    worker->thousands = (i + 999) / 1000;
    return 0;
}

int main(int argc, char **argv) {
    unsigned long threads = argc > 1 ? strtoul(argv[1], 0, 10) : 2;
    char *unit = "";
    unsigned long count = argc > 2 ? strtoul(argv[2], &unit, 10) : 1000;
    *(*unit == 's' ? &seconds : &stores) = count;
    struct worker workers[64] = {0};
    char line[8];
    pthread_barrier_init(&gate, 0, threads);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    unsigned long stored = 0, thousands = 0;
    for (unsigned long i = 0; i < threads; i++) {
        workers[i].number = i;
        pthread_create(&workers[i].thread, 0, store, &workers[i]);
    }
    for (unsigned long i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, 0);
        stored += workers[i].stored;
        thousands += workers[i].thousands;
    }
    printf("%lu %lu\n", stored, thousands);
    return 0;
}
