// Has children that execute /bin/true, and threads that end at once: N rounds.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

volatile long counter;
__thread volatile long mine;

static void *work(void *nothing) {
    mine = 1;
    return nothing;
}

int main(int argc, char **argv) {
    for (long i = argc > 1 ? atol(argv[1]) : 0; i > 0; i--) {
        pthread_t thread;
        pthread_create(&thread, 0, work, 0);
        pid_t child = i % 2 ? fork() : vfork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)0);
            _exit(1);
        }
        counter = i;
        waitpid(child, 0, 0);
        pthread_join(thread, 0);
    }
    puts("bye");
    return 0;
}
