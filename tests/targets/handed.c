// Reads 8 bytes of its input right into `counter`, by way of the kernel; then
// stores 1 to 10 itself. With an argument it becomes echo, without it ends.
#include <stdio.h>
#include <unistd.h>

volatile unsigned long counter;

__attribute__((noinline)) void store_own(void) {
    for (unsigned long i = 1; i <= 10; i++)
        counter = i;
}

int main(int count, char **arguments) {
    if (read(0, (void *)&counter, sizeof counter) != sizeof counter)
        return 3;
    store_own();
    if (count > 1)
        execl("/bin/echo", "echo", "done", (char *)0);
    puts("done");
    return 0;
}
