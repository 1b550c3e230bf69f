// Read-modify-write instructions of each kind, 200 rounds. With an argument:
// arithmetic alone, whose results follow from the value before.
#include <stdio.h>

volatile unsigned long watched;

#define DO(instruction, ...) __asm__ volatile(instruction : __VA_ARGS__ : "memory", "cc")

static void arithmetic(unsigned long i) {
    DO("lock addq $3, watched(%%rip)", :);
    DO("incq watched(%%rip)", :);
    DO("lock orq $1, watched(%%rip)", :);
    DO("notq watched(%%rip)", :);
    DO("subq %0, watched(%%rip)", : "r"(i));
    DO("decq watched(%%rip)", :);
}

static void exchanges(unsigned long i) {
    unsigned long value = i;
    DO("lock xaddq %0, watched(%%rip)", "+r"(value) :);
    DO("negq watched(%%rip)", :);
    value = i * 7;
    DO("xchgq %0, watched(%%rip)", "+r"(value) :);
    value = i + 1000;
    __asm__ volatile("lock cmpxchgq %0, watched(%%rip)"
                     : : "r"(value), "a"(i * 7) : "memory", "cc");
}

int main(int argc, char **argv) {
    char line[8];
    (void)argv;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    for (unsigned long i = 0; i < 200; i++) {
        arithmetic(i);
        if (argc == 1)
            exchanges(i);
    }
    printf("watched is %lu\n", watched);
    puts("done");
    return 0;
}
