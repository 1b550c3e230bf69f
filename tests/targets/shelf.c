// A library, with data of its own and of each thread.
volatile long stock;
__thread volatile long taken = 3;

__attribute__((constructor)) static void open_shop(void) {
    stock = 11;
    stock = 12;
}

__attribute__((noinline)) void put(long value) {
    stock = value;
}

__attribute__((noinline)) void take(long value) {
    taken = value;
}
