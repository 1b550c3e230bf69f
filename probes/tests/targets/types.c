/* Variables of every kind of type that C has. */
#include <stdint.h>

enum color { RED, GREEN = 5, BLUE = -2 };
typedef unsigned int word;

struct node {
    struct node *next;
    long key;
    struct hidden *elsewhere;
};

struct everything {
    char text[8];
    signed char small;
    unsigned char byte;
    unsigned low : 3, mid : 7;
    int high : 5;
    long wide : 40;
    const volatile word *pointer;
    enum color color;
    float ratio;
    double matrix[2][3];
    union {
        int as_int;
        float as_float;
    };
    struct {
        short x, y;
    } point;
    _Bool flag;
    void (*call)(int);
    long double precise;
    uint8_t tail[];
};

__attribute__((used)) struct everything everything = {.text = "hello", .mid = 9};
__attribute__((used)) struct node *list;
__attribute__((used)) static int counter = 7;
__attribute__((used)) __thread int per_thread = 3;
__attribute__((used)) __thread long per_thread_too;
extern int elsewhere_only;
int *other_counter(void);
int zero_length[0];
__attribute__((used)) enum color favourite = GREEN;

__attribute__((noinline)) int bump(int by)
{
    __attribute__((used)) static int calls;
    int before = counter;
    calls++;
    counter += by;
    return before + per_thread + (int)per_thread_too;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 5)
        return elsewhere_only + *other_counter();
    return bump(argc) + everything.mid + zero_length[0];
}
