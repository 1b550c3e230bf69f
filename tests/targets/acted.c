// Stores 1 to N into `counter` on request. A handler
// of SIGUSR1 notes what `counter` holds when it runs. With an argument another thread
// stores elsewhere all the time.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

volatile unsigned long counter;
static volatile unsigned long caught, in_step;

static void note(int number) {
    (void)number;
    caught++;
    in_step += counter % 1000 == 0;
}

__attribute__((noinline)) static void count(unsigned long to) {
    for (unsigned long i = 1; i <= to; i++)
        counter = i;
}

static volatile unsigned long elsewhere;

static void *spin(void *unused) {
    for (;;)
        elsewhere++;
    return unused;
}

int main(int argc, char **argv) {
    char line[64];
    pthread_t other;
    (void)argv;
    if (argc > 1)
        pthread_create(&other, NULL, spin, NULL);
    signal(SIGUSR1, note);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        caught = in_step = 0;
        count(strtoul(line, NULL, 10));
        printf("%lu caught, %lu in step\n", caught, in_step);
        fflush(stdout);
    }
    puts("done");
    return 0;
}
