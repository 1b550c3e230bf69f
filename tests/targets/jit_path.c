// Makes a function at run time that stores to `watched`, tells profilers of it as they
// expect it, and calls it.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

volatile long watched;

// push %rbp; mov %rsp, %rbp; mov %rsi, (%rdi); pop %rbp; ret
static const char code[] = "\x55\x48\x89\xe5\x48\x89\x37\x5d\xc3";

__attribute__((noinline)) void calls(void (*made)(volatile long *, long), long value) {
    made(&watched, value);
    __asm__ volatile("");
}

int main(void) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char name[64];
    memcpy(page, code, sizeof code - 1);
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(name, "w");
    fprintf(map, "%lx %zx made at run time\n", (long)page, sizeof code - 1);
    fclose(map);
    for (long i = 0; i < 5; i++)
        calls((void (*)(volatile long *, long))page, i);
    puts("done");
    fflush(stdout);
    // It can be read until then.
    getchar();
    unlink(name);
    return 0;
}
