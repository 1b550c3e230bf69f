// Stores 0 to 999, then the child 5000 to 5499 and the parent 1000 to 1999;
// prints the child's number first.
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

volatile unsigned long counter;

static void store(unsigned long from, unsigned long to) {
    for (; from < to; from++)
        counter = from;
}

int main(void) {
    char line[8];
    int status;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    store(0, 1000);
    pid_t child = fork();
    if (child == 0) {
        store(5000, 5500);
        _exit(counter == 5499 ? 0 : 1);
    }
    store(1000, 2000);
    waitpid(child, &status, 0);
    printf("child %d ended with %d\n", child, status);
    puts(counter == 1999 ? "done" : "wrong");
    return 0;
}
