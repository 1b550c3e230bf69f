// Stores to eight variables by threads that are born and end all the time; each value tells
// its variable. `births SECONDS PROCESSES`: so many processes besides, each with addresses of
// its own. Meanwhile `place` goes from one variable to the next.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VARIABLES = 8, ROUNDS = 20, MAKERS = 2, STAY_US = 3000 };

volatile unsigned long v[VARIABLES];
volatile unsigned long *volatile place = v;

static void *brief(void *arg) {
    for (unsigned long round = 0; round < ROUNDS; round++)
        for (unsigned long i = 0; i < VARIABLES; i++) v[i] = (i + 1) << 32 | round;
    return arg;
}

static void *maker(void *arg) {
    for (pthread_t thread;;) {
        pthread_create(&thread, 0, brief, 0);
        pthread_join(thread, 0);
    }
    return arg;
}

int main(int argc, char **argv) {
    int others = argc > 2 ? atoi(argv[2]) : 0;
    for (int i = 0; i < others; i++)
        if (fork() == 0) return execl(argv[0], argv[0], argv[1], (char *)0);
    pthread_t thread;
    for (int i = 0; i < MAKERS; i++) pthread_create(&thread, 0, maker, 0);
    time_t end = time(0) + atoi(argv[1]);
    for (int i = 0; time(0) < end; i++) {
        usleep(STAY_US);
        place = &v[i % VARIABLES];
    }
    while (wait(0) > 0) {}
    _exit(0);
}
