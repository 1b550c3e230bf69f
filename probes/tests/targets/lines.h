/* Functions that are always inlined, from another file. */
#define TEXT(x) #x
#define LINE(x) TEXT(x)
#define HERE(name)                                           \
    do {                                                     \
        char *at;                                            \
        __asm__ volatile("lea -1(%%rip), %0" : "=r"(at));    \
        printf(name ":" LINE(__LINE__) " %p\n", (void *)at); \
    } while (0)

static inline __attribute__((always_inline)) int inner(int value) {
    HERE("inner");
    return value * 2;
}

static inline __attribute__((always_inline)) int middle(int value) {
    value += 1;
    return inner(value); /* inner is called */
}
