// Numbers that lie side by side, in words of eight bytes: `set.a` and `set.b`, and so on.
// Once it is told to go it stores into each of them, ten times as often as its place says,
// numbers that tell which it is; and it loads `set.a` 25 times.
#include <stdio.h>

volatile struct {
    int a, b, c, d, e, f, g, h;
} set __attribute__((aligned(8)));
volatile long sum;

#define STORE(name, number)                         \
    for (int i = 0; i < 10 * (number); i++)         \
    set.name = 1000 * (number) + i

int main(void) {
    char line[8];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    STORE(a, 1);
    STORE(b, 2);
    STORE(c, 3);
    STORE(d, 4);
    STORE(e, 5);
    STORE(f, 6);
    STORE(g, 7);
    STORE(h, 8);
    for (int i = 0; i < 25; i++)
        sum += set.a;
    printf("bye, the sum is %ld\n", sum);
    return 0;
}
