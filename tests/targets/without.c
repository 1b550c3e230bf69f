/* Runs a command where system calls are refused, as a container's seccomp filter
   refuses them:

       without CALL[=ERRNO]... -- COMMAND [ARGUMENT]...

   CALL is perf, bpf, ptrace, poke (PTRACE_POKEUSER, without which there are no debug
   registers) or robust (get_robust_list); ERRNO is a number, 1 (EPERM) unless given. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_filter code[64];
static unsigned short length;

static void add(unsigned short what, unsigned char yes, unsigned char no, unsigned value)
{
    code[length++] = (struct sock_filter){what, yes, no, value};
}

static void load(size_t offset)
{
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static long number_of(const char *name)
{
    static const struct { const char *name; long number; } calls[] = {
        {"perf", SYS_perf_event_open}, {"bpf", SYS_bpf}, {"ptrace", SYS_ptrace},
        {"poke", SYS_ptrace}, {"robust", SYS_get_robust_list},
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(name, calls[i].name) == 0)
            return calls[i].number;
    fprintf(stderr, "without: no call %s\n", name);
    exit(2);
}

/* One call: a jump over the refusal where it is another. */
static void refuse(char *call)
{
    char *given = strchr(call, '=');
    unsigned error = given ? strtoul(given + 1, NULL, 10) : EPERM;
    if (given)
        *given = 0;
    int poke = strcmp(call, "poke") == 0;
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, poke ? 3 : 1, number_of(call));
    if (poke) {
        load(offsetof(struct seccomp_data, args[0]));
        add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PTRACE_POKEUSER);
    }
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error);
}

int main(int argc, char **argv)
{
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++)
        refuse(argv[at]);
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {length, code};
    /* Who may not set a filter otherwise has to give up gaining rights. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0
        && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)) {
        perror("without: seccomp");
        return 2;
    }
    if (at + 1 >= argc)
        return 2;
    execvp(argv[at + 1], argv + at + 1);
    perror(argv[at + 1]);
    return 2;
}
