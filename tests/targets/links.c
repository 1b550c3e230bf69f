// A list whose pointers move. Does what it is told, line by line:
//   head N      has `head` lead to node N; to nothing, where there is none
//   next A B    has node A lead to node B, likewise
//   spin N      moves `head` N times to and fro, and leaves it at node 0
//   store N V   stores V into node N
// Says `moved` once it has moved pointers.
#include <stdio.h>

enum { NODES = 3 };

struct node {
    struct node *next;
    volatile long value;
};

static struct node nodes[NODES];
struct node *volatile head;

static struct node *node(int number) {
    return number < NODES ? &nodes[number] : 0;
}

__attribute__((noinline)) static void store(int number, long value) {
    nodes[number].value = value;
}

static void moved(void) {
    puts("moved");
    fflush(stdout);
}

int main(void) {
    char line[64];
    long a, b;
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "head %ld", &a) == 1) {
            head = node(a);
            moved();
        } else if (sscanf(line, "next %ld %ld", &a, &b) == 2) {
            *(struct node *volatile *)&nodes[a].next = node(b);
            moved();
        } else if (sscanf(line, "spin %ld", &a) == 1) {
            for (long i = a; i > 0; i--)
                head = node(i % 2);
            head = node(0);
            moved();
        } else if (sscanf(line, "store %ld %ld", &a, &b) == 2) {
            store(a, b);
        }
    }
    puts("bye");
    return 0;
}
