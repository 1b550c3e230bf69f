// Known accesses to `watched`, one instruction each: 50 rounds of three stores
// and a load, then 50 additions.
#include <stdio.h>

volatile unsigned long watched;

#define STORE(value) __asm__ volatile("movq %0, watched(%%rip)" : : "r"(value) : "memory")
#define LOAD() __asm__ volatile("movq watched(%%rip), %%rax" : : : "rax", "memory")
#define ADD(value) __asm__ volatile("addq %0, watched(%%rip)" : : "r"(value) : "memory", "cc")

int main(void) {
    char line[8];
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    for (int i = 0; i < 50; i++) {
        STORE(5L); // Changes, from 6 and at first from 0.
        STORE(5L); // Silent.
        STORE(6L); // Changes.
        LOAD();
    }
    for (int i = 0; i < 50; i++)
        ADD(10L);
    printf("watched is %lu\n", watched);
    puts("done");
    return 0;
}
