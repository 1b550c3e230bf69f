// Does what it is told, line by line, and answers each line:
//   store N   stores the next N numbers into `counter`
//   touch     writes each of `a` to `e` once
// At the end of its input it says how far it came, and ends.
#include <stdio.h>
#include <string.h>

volatile unsigned long counter;
volatile unsigned long a, b, c, d, e;
char odd_bytes[24] = "not of a length to watch";

static unsigned long next;

__attribute__((noinline)) void store(long count) {
    for (long i = 0; i < count; i++)
        counter = next + i;
    next += count;
}

int main(void) {
    char line[64];
    long count;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "store %ld", &count) == 1) {
            store(count);
            printf("stored %lu\n", next);
        } else if (strncmp(line, "touch", 5) == 0) {
            a++, b++, c++, d++, e++;
            puts("touched");
        }
        fflush(stdout);
    }
    printf("bye, counter is %lu of %lu\n", counter, next);
    return 0;
}
