// Frames of some kinds: found by the stack pointer, by a frame pointer, realigned.
void out(char *);
int leaf(int n) { return n * 3; }
int spills(int a, int b, int c) {
    char some[40];
    out(some);
    return leaf(a) + b + c + some[a & 7];
}
int sized(int n) {
    char some[n];
    out(some);
    return some[0] + spills(n, 1, 2);
}
int aligned(int n) {
    char some[64] __attribute__((aligned(64)));
    out(some);
    return some[1] + sized(n);
}
void out(char *some) { __asm__ volatile("" : : "r"(some) : "memory"); }
