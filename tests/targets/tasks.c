// A thread whose name and other data of the kernel change as it is told: `name NAME`,
// `oom NUMBER`. Says `ready` before, and `done` after each.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void) {
    char line[64];
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "name ", 5))
            prctl(PR_SET_NAME, line + 5);
        if (!strncmp(line, "oom ", 4)) {
            int file = open("/proc/self/oom_score_adj", O_WRONLY);
            if (write(file, line + 4, strlen(line + 4)) < 0)
                perror("oom_score_adj");
            close(file);
        }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
