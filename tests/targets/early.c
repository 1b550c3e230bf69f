// `pointer` is written before main: by the loader, which relocates it where
// the program is position-independent, and by a constructor.
#include <stdio.h>

unsigned long first, second, third;
unsigned long *volatile pointer = &first;

__attribute__((constructor)) static void construct(void) {
    pointer = &second;
}

int main(void) {
    pointer = &third;
    printf("%p %p %p\n", (void *)&first, (void *)&second, (void *)&third);
    puts("done");
    return 0;
}
