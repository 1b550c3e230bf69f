// Data to be listed, of every kind, with a second file that has a static of the same
// name (`-DSECOND` makes that one). Says where its data is when it is asked.
#include <stdio.h>

#ifdef SECOND
static int state = 2;
int next_state(void) { return state++; }
#else

int next_state(void);

struct limit { int min, max; unsigned hot : 3; };
struct conn { struct conn *next; int fd; };
enum mode { IDLE, BUSY };

static int state = 1;
__thread long per_thread = 3;
struct { struct limit limits[4]; char name[16]; struct conn *head; } cfg;
enum mode mode = BUSY;
static const int nowhere = 7;

static inline __attribute__((always_inline)) int twice(int n) {
    int doubled = n * 2;
    return doubled + state;
}

__attribute__((noinline)) int total(struct conn *conn, int base) {
    static int calls;
    int sum = base;
    calls++;
    for (; conn; conn = conn->next)
        sum += twice(conn->fd); // called here
    return sum + nowhere;
}

int main(void) {
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
        state += total(cfg.head, next_state()) + (int)per_thread + mode;
        printf("%p %p\n", (void *)&cfg, (void *)&cfg.limits[2].max);
        fflush(stdout);
    }
    return 0;
}
#endif
