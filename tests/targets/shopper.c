// Is linked with shelf.c: stores 5 times into its data, and 4 times into that of each
// thread. Waits for a line first where it has an argument.
#include <stdio.h>

void put(long value), take(long value);

int main(int argc, char **argv) {
    char line[16];
    puts("ready");
    fflush(stdout);
    if (argc > 1 && !fgets(line, sizeof line, stdin))
        return 1;
    for (long i = 0; i < 5; i++)
        put(100 + i);
    for (long i = 0; i < 4; i++)
        take(200 + i);
    puts("bye");
    return 0;
}
