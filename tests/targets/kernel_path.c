// Has the kernel store to `watched`, three times, or stores itself.
#include <stdio.h>
#include <unistd.h>

long watched;

__attribute__((noinline)) int fills(int pipe) {
#ifdef STORES
    watched = pipe;
    return 0;
#else
    return read(pipe, &watched, sizeof watched) != sizeof watched;
#endif
}

int main(void) {
    int ends[2], failed = pipe(ends);
    for (long i = 1; i <= 3; i++)
        failed |= write(ends[1], &i, sizeof i) != sizeof i || fills(ends[0]);
    puts(failed ? "failed" : "done");
    return failed;
}
