// Data of each type of C, each stored to with values that the test knows. Says that
// it has finished by a store, and then waits for a line, so that its memory can
// be read.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum colour { NONE = -1, RED, GREEN = 5 };
struct point { int x, y; };
struct label { char text[4]; short number; };
struct flags { unsigned ready : 1, level : 3; int balance : 5; unsigned rest : 23; };
union word { unsigned long whole; unsigned char bytes[8]; float number; };
struct node { struct node *next; long key; };

volatile signed char i8 = -1;
volatile unsigned char u8 = 1;
volatile short i16 = -300;
volatile unsigned short u16;
volatile int i32;
volatile unsigned u32;
volatile long i64;
volatile unsigned long u64;
volatile float single;
volatile double real = 0.5;
volatile bool truth;
volatile char letter = 'a';
volatile enum colour colour;
volatile struct flags flags;
volatile union word word;
struct node nodes[3] = {{0, 10}, {nodes, 11}, {nodes + 1, 12}};
struct node *volatile node;
const char *volatile text;
void (*volatile function)(void);
_Alignas(8) char name[8] = "before";
_Alignas(8) struct point point = {3, -4};
_Alignas(8) struct label label = {"old", 1};
static volatile long hidden = 40;
const volatile long limit = 7;
volatile int finished;
/* More than can be watched at a time. */
long vast[2048];

static void greet(void) {}

static void __attribute__((noinline)) bits(void) {
    flags.ready = 1;
    flags.level = 6;
    flags.balance = -3;
    flags.balance = -3;
    flags.rest = 0x1234;
    flags.level = 2;
}

static void __attribute__((noinline)) numbers(void) {
    i8 = -128;
    u8 = 255;
    i16 = 32767;
    u16 = 65535;
    i32 = -2147483647 - 1;
    u32 = 4294967295u;
    i64 = -5000000000;
    u64 = 18446744073709551615u;
    // By way of the vector registers, of which nothing is recorded at a hit.
    single = 2.25f;
    real = -1e100;
    *(volatile long *)&real = 0x3ff8000000000000;
    truth = 1;
    letter = 'Z';
    colour = GREEN;
    colour = NONE;
    colour = 3;
}

int main(void) {
    char line[16];
    numbers();
    bits();
    word.whole = 0x4048f5c3;
    node = &nodes[2];
    text = "forty-two";
    function = greet;
    *(volatile long *)name = 0x7265746661; // "after"
    *(volatile long *)&point = 0x8fffffff9;
    *(volatile int *)&point.y = 9;
    *(volatile int *)label.text = 0x77656e; // "new"
    *(volatile short *)&label.number = -2;
    hidden += 2;
    finished = 1;
    if (fgets(line, sizeof line, stdin))
        puts("bye");
    return 0;
}
