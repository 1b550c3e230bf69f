/* Prints addresses of instructions with the lines that they are of. */
#include <stdio.h>

#include "lines.h"

volatile int sink;

struct slot {
    short key;
    long value;
};

struct cache {
    int hits;
    struct slot slots[8];
    union {
        int whole;
        struct {
            short low, high;
        };
    };
    struct slot *last;
} cache;

static long table[2][3];

#define SHOW(place) printf("&" #place " %p\n", (void *)&place)

static __attribute__((noinline)) int plain(int value) {
    sink = value;
    HERE("plain");
    return value + 1;
}

static __attribute__((noinline)) int outer(int value) {
    sink = value;
    value = middle(value); /* middle is called */
    return value * 3;
}

int main(void) {
    printf("main %p\n", (void *)main);
    printf("plain %p\n", (void *)plain);
    SHOW(cache);
    SHOW(cache.slots);
    SHOW(cache.slots[4]);
    SHOW(cache.slots[4].value);
    SHOW(cache.high);
    SHOW(table[1]);
    SHOW(table[1][2]);
    printf("&cache.slots[2].value+3 %p\n", (void *)((char *)&cache.slots[2].value + 3));
    plain(1);
    outer(2);
    HERE("main");
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
