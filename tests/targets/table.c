// A table whose elements are stored to, each as often as it is known, and pointers to some
// of others.
#include <stdio.h>
#include <time.h>

struct item {
    volatile long refs;
    struct {
        volatile int low, high;
    } range;
};

struct item table[4], others[4], *some[4];
volatile long many[16];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// Each of `many` as often as all others, for a second.
static void take_turns(void) {
    struct timespec pause = {0, 100000};
    double end = now() + 1;
    while (now() < end) {
        for (int i = 0; i < 16; i++)
            many[i]++;
        nanosleep(&pause, 0);
    }
}

int main(int count, char **arguments) {
    for (int i = 0; i < 4; i += 2)
        some[i] = &others[i];
    puts("ready");
    fflush(stdout);
    getchar();
    for (int round = 1; round <= 100; round++)
        for (int i = 0; i < 4; i++) {
            if (round % (i + 1) == 0)
                table[i].refs = round;
            table[i].range.high = -round;
            if (some[i])
                some[i]->refs = i;
        }
    if (count > 1)
        take_turns();
    printf("each %ld\ndone\n", many[0]);
}
