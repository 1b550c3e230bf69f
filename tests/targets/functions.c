// Four functions store; `store_here` names the very instruction of one. The
// program prints where that is when it runs, and then a line of its input.
#include <stdio.h>

volatile unsigned long counter;
extern const char store_here[];

__attribute__((noinline)) void deposit(unsigned long value) {
    counter = value;
}

__attribute__((noinline)) void labelled(unsigned long value) {
    __asm__ volatile("nop\n"
                     ".globl store_here\n"
                     ".type store_here, @notype\n"
                     "store_here: movq %0, counter(%%rip)\n"
                     "nop" : : "a"(value) : "memory");
}

__attribute__((noinline)) void withdraw(unsigned long value) {
    counter = counter - value;
}

__attribute__((noinline)) static void audit(void) {
    counter = 7;
    __asm__ volatile("");
}

int main(void) {
    char line[64];
    for (int i = 0; i < 3; i++)
        deposit(100);
    for (int i = 0; i < 2; i++)
        withdraw(10);
    audit();
    labelled(9);
    printf("store_here is %p\n", (void *)store_here);
    printf("input was %s", fgets(line, sizeof line, stdin) ? line : "none\n");
    puts("done");
    return 0;
}
