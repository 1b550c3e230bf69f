// Objects wider than a register, and such as lie across the border of two. A line
// makes it go on: it stores to members, then copies over all of it.
#include <stdio.h>
#include <string.h>

struct limit { int min, max; };
struct config { long a; struct limit limits[2]; };
struct __attribute__((packed)) odd { char before; long value; char after[3]; };
struct mode { unsigned on : 1, level : 7; int offset; };
struct apart { int before; struct limit limit; };

_Alignas(8) struct config config = {1, {{2, 3}, {4, 5}}};
_Alignas(8) struct odd odd;
_Alignas(16) char title[16] = "old";
_Alignas(16) int table[8];
_Alignas(16) long big[6];
_Alignas(8) char three[3] = "ab";
_Alignas(8) struct mode mode;
_Alignas(8) struct apart apart = {0, {1, 2}};
volatile int finished;

static void __attribute__((noinline)) store(volatile struct config *c) {
    c->a = 10;
    c->limits[0].min = -20;
    c->limits[1].max = 50;
    c->limits[1].max = 50;
}

static void __attribute__((noinline)) store_others(volatile struct mode *m) {
    *(volatile long *)&odd.value = 0x1122334455667788;
    *(volatile char *)&odd.after[1] = 'x';
    ((volatile char *)title)[2] = 'D';
    ((volatile int *)table)[5] = 55;
    ((volatile int *)table)[0] = -1;
    ((volatile char *)three)[1] = 'z';
    *(volatile int *)&apart.limit.max = 9;
    m->level = 100;
    m->offset = -7;
    m->level = 100;
}

int main(int argc, char **argv) {
    char line[16];
    store(&config);
    store_others(&mode);
    struct config next = {100, {{-20, argc}, {4, 60}}};
    // In the C library, as nobody knows here how much it is.
    size_t size = argc > 9 ? 1 : sizeof next;
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    copy(&config, &next, size);
    finished = 1;
    if (fgets(line, sizeof line, stdin))
        puts("bye");
    return 0;
}
