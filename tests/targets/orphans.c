// At the line "go" it has 100 grandchildren, one after the other, whose parents end at
// once; each stores ten times.
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRANDCHILDREN 100
#define STORES 10

volatile unsigned long counter;

int main(void) {
    char line[8];
    volatile int *ended = mmap(0, sizeof *ended, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    puts("ready");
    fflush(stdout);
    if (ended == MAP_FAILED || !fgets(line, sizeof line, stdin))
        return 3;
    for (int i = 0; i < GRANDCHILDREN; i++) {
        if (!fork()) {
            if (!fork()) {
                for (int k = 0; k < STORES; k++)
                    counter = k;
                __atomic_add_fetch(ended, 1, __ATOMIC_SEQ_CST);
            }
            _exit(0);
        }
        wait(0);
    }
    while (*ended < GRANDCHILDREN)
        usleep(1000);
    puts("done");
    return 0;
}
