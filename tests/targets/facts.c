// Does what each line says, answers, and waits for the next: so its memory can
// be read when its hits are looked at.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

volatile unsigned long watched;
volatile sig_atomic_t signals;

struct __attribute__((packed)) {
    signed char byte;
    short half;
    int word;
    long whole;
    char text[8];
} numbers = {-2, -300, -70000, -5000000000, "a\tb"};

static void count(int signal) {
    (void)signal;
    signals++;
}

// Registers with known values, `numbers` in rdi, and then the store.
__attribute__((noinline)) void store(void) {
    __asm__ volatile(
        "movabsq $0x1122334455667788, %%rax\n\t"
        "movq $-3, %%r8\n\t"
        "movl $0x80000001, %%ecx\n\t"
        "movq $1, watched(%%rip)"
        :
        : "D"(&numbers)
        : "rax", "rcx", "r8", "memory");
}

// The kernel stores.
static void receive(void) {
    int ends[2];
    unsigned long value = 7;
    if (pipe(ends) == 0 && write(ends[1], &value, sizeof value) == sizeof value &&
        read(ends[0], (void *)&watched, sizeof value) == sizeof value)
        puts("received");
}

// A child stores, and waits to be killed.
static void child(void) {
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        store();
        for (;;)
            pause();
    }
    waitpid(pid, &status, 0);
    printf("child killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(void) {
    char line[32];
    signal(SIGUSR1, count);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "store", 5) == 0) {
            store();
            puts("stored");
        } else if (strncmp(line, "receive", 7) == 0) {
            receive();
        } else if (strncmp(line, "child", 5) == 0) {
            child();
        } else if (strncmp(line, "wait", 4) == 0) {
            while (!signals)
                usleep(1000);
            printf("signals %d\n", signals);
        }
        fflush(stdout);
    }
    puts("done");
    return 0;
}
