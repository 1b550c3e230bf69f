// Counters that lie across a border of 8 bytes, each with stores of its own number: how
// often is by its place. With a number it does so many rounds, and sleeps between.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { COUNTERS = 8 };
struct __attribute__((packed)) counter { char before[5]; unsigned long count; char after[3]; };
_Alignas(16) struct counter counters[COUNTERS];

static void __attribute__((noinline)) count(volatile struct counter *c)
{
    unsigned long value = c->count;
    // A store of its own.
    __asm__ volatile("" : "+r"(value));
    c->count = value + 1;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    // So that a sum goes over the border.
    for (int i = 0; i < COUNTERS; i++)
        counters[i].count = 0xfffff0;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < COUNTERS; i++)
            for (int n = 0; n < 10 * (i + 1); n++)
                count(&counters[i]);
        if (argc > 1)
            usleep(500);
    }
    puts("bye");
}
