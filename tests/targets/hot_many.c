// Stores N times to each of eight words in turn, with WORK steps of work before each, when
// it is told to.
#include <stdio.h>
#include <stdlib.h>

volatile unsigned long words[8];
static volatile unsigned long sum;

int main(int argc, char **argv) {
    long n = atol(argv[1]), work = atol(argv[2]);
    unsigned long x = 1;
    char line[8];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    for (long i = 0; i < n; i++)
        for (int word = 0; word < 8; word++) {
            for (long k = 0; k < work; k++)
                x = x * 6364136223846793005UL + 1;
            words[word] = i;
        }
    sum = x;
    puts("done");
    return 0;
}
