// A list of objects that come and go. Does what it is told, line by line:
//   store N V   stores V into node N
//   touch N     stores the same value into node N once more
//   load N      loads node N
//   wide N V    stores V into the last bytes of node N's text
//   push N      takes N more nodes onto the list, one after the other
//   pop N       takes N of them off again
//   churn MS    counts in all nodes of the list for so long; the upper half of a value is
//               the node's number
//   spin MS     stores into node 0 for so long, as fast as it goes
//   brief N MS  takes N nodes onto the list, one after the other; counts in each for so long,
//               and takes it off again
//   last N      names node N as one that leaves the list, and ends at once
//   total       says how often that was
//   exec        executes itself once more
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NODES = 256, PAUSE_US = 300000, BETWEEN_US = 200 };

struct node {
    struct node *next;
    volatile long value;
    volatile int small, other;
    volatile char text[24];
};

static struct node nodes[NODES];
struct node *volatile head;
// Where nodes are named that leave the list.
struct node *volatile removed;

__attribute__((noinline)) static void store(struct node *node, long value) {
    node->value = value;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static long churn(double ms, int count) {
    long turns = 0;
    for (double end = now() + ms; now() < end; turns++) {
        for (int i = 0; i < count; i++) {
            long n = nodes[i].value & 0xffffffff;
            store(&nodes[i], (long)i << 32 | (n + 1));
        }
        usleep(BETWEEN_US);
    }
    return turns * count;
}

int main(int argc, char **argv) {
    char line[64];
    long a, b, total = 0;
    int count = 3;
    for (int i = 0; i < count; i++) {
        nodes[i].next = head;
        head = &nodes[i];
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "store %ld %ld", &a, &b) == 2) {
            store(&nodes[a], b);
            nodes[a].small = (int)b;
            nodes[a].other = (int)b;
        } else if (sscanf(line, "wide %ld %ld", &a, &b) == 2) {
            nodes[a].text[22] = (char)b;
        } else if (sscanf(line, "touch %ld", &a) == 1) {
            store(&nodes[a], nodes[a].value);
        } else if (sscanf(line, "load %ld", &a) == 1) {
            (void)nodes[a].value;
        } else if (sscanf(line, "push %ld", &a) == 1) {
            for (; a > 0; a--, count++) {
                nodes[count].next = head;
                head = &nodes[count];
                usleep(BETWEEN_US);
            }
            usleep(PAUSE_US);
        } else if (sscanf(line, "pop %ld", &a) == 1) {
            for (; a > 0; a--) {
                struct node *node = &nodes[--count];
                removed = node;
                head = node->next;
                usleep(BETWEEN_US);
            }
            usleep(PAUSE_US);
        } else if (sscanf(line, "churn %ld", &a) == 1) {
            total += churn(a, count);
        } else if (sscanf(line, "spin %ld", &a) == 1) {
            for (double end = now() + a; now() < end;)
                for (b = 0; b < 100; b++) store(&nodes[0], b);
        } else if (sscanf(line, "brief %ld %ld", &a, &b) == 2) {
            for (struct node *node = &nodes[count]; a > 0; a--, node++) {
                head = node;
                for (double end = now() + b; now() < end; usleep(BETWEEN_US))
                    store(node, node->value + 1);
                removed = node;
            }
            usleep(PAUSE_US);
        } else if (sscanf(line, "last %ld", &a) == 1) {
            removed = &nodes[a];
            _exit(0);
        } else if (strcmp(line, "total\n") == 0) {
            printf("total %ld\n", total);
        } else if (strcmp(line, "exec\n") == 0) {
            execv(argv[0], argv);
        }
        puts("done");
        fflush(stdout);
    }
    puts("bye");
    return 0;
}
