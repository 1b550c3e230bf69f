/* 64 counters that four threads raise, each value with the number of its counter in its
   upper half.

     counters pace N    N ticks of 250 microseconds, each counter at a rate of its own,
                        and says how often each was raised
     counters race N    N times each, as fast as it goes
     counters bytes     each byte of `odd` in turn, until the input ends */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, COUNTERS = 64, OWN = COUNTERS / THREADS };

volatile uint64_t counters[COUNTERS] __attribute__((aligned(64)));

/* 64 bytes that lie across the borders of nine registers. */
struct __attribute__((packed)) odd {
    unsigned char first[20];
    uint32_t number;
    unsigned char last[40];
};
static struct __attribute__((packed)) {
    char before[3];
    struct odd odd;
} shifted __attribute__((aligned(8)));
struct odd *odd = &shifted.odd;

static uint64_t times;
static int racing;

static void raise_one(uint64_t number) {
    uint64_t count = (uint32_t)counters[number] + 1;
    counters[number] = number << 32 | count;
}

static void *raise_own(void *arg) {
    uint64_t first = (uint64_t)arg * OWN;
    for (uint64_t tick = 0; tick < times; tick++) {
        /* The counter k of the thread k + 1 times in 16 ticks, or each time. */
        for (uint64_t k = 0; k < OWN; k++)
            if (racing || tick * (k + 1) % OWN < k + 1) raise_one(first + k);
        /* Not by the clock: who was kept from running does not catch up. */
        if (!racing) usleep(250);
    }
    return 0;
}

static void store_bytes(void) {
    volatile unsigned char *bytes = (volatile unsigned char *)odd;
    for (unsigned char value = 1;; value++)
        for (int at = 0; at < 64; at++) {
            bytes[at] = value;
            usleep(100);
        }
}

static void *until_the_end(void *arg) {
    (void)arg;
    while (getchar() != EOF) {}
    exit(0);
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    const char *what = argc > 1 ? argv[1] : "";
    racing = !strcmp(what, "race");
    times = argc > 2 ? strtoull(argv[2], 0, 10) : 1;
    puts("ready");
    fflush(stdout);
    if (!strcmp(what, "bytes")) {
        pthread_create(&threads[0], 0, until_the_end, 0);
        store_bytes();
    }
    for (uint64_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], 0, raise_own, (void *)t);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], 0);
    for (int k = 0; k < COUNTERS; k++) printf("%u\n", (unsigned)(uint32_t)counters[k]);
    return 0;
}
