// The kernel stores to `watched` by system calls: each once, 8 bytes of `y`.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Alignas(8) volatile char watched[8];

int main(void) {
    char line[16];
    int ends[2], both[2];
    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, both))
        return 1;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 3;
    struct iovec all = {(void *)watched, 8};
    int done = write(ends[1], "yyyyyyyy", 8) == 8 && read(ends[0], (void *)watched, 8) == 8;
    done &= write(ends[1], "yyyyyyyy", 8) == 8 && readv(ends[0], &all, 1) == 8;
    done &= write(both[1], "yyyyyyyy", 8) == 8 && recv(both[0], (void *)watched, 8, 0) == 8;
    done &= getrandom((void *)watched, 8, 0) == 8;
    // By a number that is no constant in the code.
    done &= write(ends[1], "yyyyyyyy", 8) == 8;
    done &= syscall(done ? SYS_read : SYS_readv, ends[0], watched, 8) == 8;
    watched[0] = 1;
    puts(done ? "done" : "failed");
    return 0;
}
