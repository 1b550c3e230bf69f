// Stores whose values no general register tells. `loads double N`: N doubles, by one
// thread. `loads add N`: two threads add 1 to a counter, N times each.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

volatile double real;
volatile unsigned long counter;
static unsigned long rounds;

static void *add(void *unused) {
    for (unsigned long i = 0; i < rounds; i++) {
        unsigned long value = 1;
        __asm__ volatile("lock xaddq %0, counter(%%rip)" : "+r"(value) : : "memory", "cc");
    }
    return unused;
}

static void store(void) {
    for (unsigned long i = 0; i < rounds; i++) {
        double value = i / 4.0;
        __asm__ volatile("movsd %0, real(%%rip)" : : "x"(value) : "memory");
    }
}

int main(int argc, char **argv) {
    char line[8];
    pthread_t other;
    if (argc != 3)
        return 1;
    rounds = strtoul(argv[2], NULL, 10);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    if (argv[1][0] == 'd') {
        store();
    } else {
        if (pthread_create(&other, NULL, add, NULL))
            return 2;
        add(NULL);
        pthread_join(other, NULL);
    }
    puts("done");
    return 0;
}
