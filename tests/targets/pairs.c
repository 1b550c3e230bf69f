// At the line "go" both members of each of 16 pairs change, each millisecond for
// three seconds. A pair fills a debug register.
#include <stdio.h>
#include <unistd.h>

#define PAIRS 16
#define TIMES 3000

struct pair {
    int left, right;
};

struct pair pairs[PAIRS] __attribute__((aligned(8)));

int main(void) {
    char line[8];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    for (int n = 0; n < TIMES; n++) {
        for (int i = 0; i < PAIRS; i++) {
            pairs[i].left += 1;
            pairs[i].right += 2;
        }
        usleep(1000);
    }
    puts("done");
    return 0;
}
