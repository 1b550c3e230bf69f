/* So many threads that wait for the end of the input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

volatile unsigned long a, b, c, d;

static void *wait_for_ever(void *arg) {
    for (;;)
        pause();
    return arg;
}

int main(int count, char **arguments) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (int i = count > 1 ? atoi(arguments[1]) : 1; i > 1; i--) {
        pthread_t thread;
        if (pthread_create(&thread, &small, wait_for_ever, NULL))
            return 1;
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}
