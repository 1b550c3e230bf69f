// Stores 3 times, after some time in which it is armed; then executes itself N times,
// or else what follows:
//   again N [PROGRAM ARGUMENT…]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_US = 500000 };

volatile long counter;

__attribute__((noinline)) static void store(long value) {
    counter = value;
}

int main(int argc, char **argv) {
    long left = argc > 1 ? atol(argv[1]) : 0;
    usleep(PAUSE_US);
    for (long i = 0; i < 3; i++)
        store(left * 10 + i);
    if (left > 0) {
        char text[24];
        snprintf(text, sizeof text, "%ld", left - 1);
        argv[1] = text;
        execv("/proc/self/exe", argv);
    } else if (argc > 2) {
        execv(argv[2], argv + 2);
    }
    puts("bye");
    return 0;
}
