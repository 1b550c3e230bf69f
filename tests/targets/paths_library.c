// A library whose function calls what it is given.
__attribute__((noinline)) void shelved(void (*call)(void)) {
    call();
    __asm__ volatile("");
}
