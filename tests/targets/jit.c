// Makes code as it runs, always at the same place: at each line that it reads other code,
// which accesses `watched` 100 times. Says by a store to `marker` that it is done.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

volatile long watched, marker;

// mov %rsi, (%rdi); mov (%rdi), %rax; add %rsi, (%rdi); xchg %rsi, (%rdi); push and pop of
// other memory, and movb $7, (%rdi).
static const char *codes[] = {"\x48\x89\x37\xc3", "\x48\x8b\x07\xc3", "\x48\x01\x37\xc3",
                              "\x48\x87\x37\xc3", "\x56\x58\xc6\x07\x07\xc3"};
enum { CODES = sizeof codes / sizeof *codes };

int main(void) {
    char line[16];
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < CODES && fgets(line, sizeof line, stdin); i++) {
        mprotect(page, 4096, PROT_READ | PROT_WRITE);
        strcpy(page + 2048, codes[i]);
        mprotect(page, 4096, PROT_READ | PROT_EXEC);
        for (long j = 0; j < 100; j++)
            ((void (*)(volatile long *, long))(page + 2048))(&watched, j);
        marker++;
    }
    // Its memory can be read until then.
    if (!fgets(line, sizeof line, stdin))
        return 3;
    printf("watched is %ld\n", watched);
    puts("done");
    return 0;
}
