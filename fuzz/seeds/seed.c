/* A little of everything; see make. */
struct node {
    struct node *next;
    unsigned low : 3, high : 5;
    union {
        int number;
        float ratio;
    };
    char text[2][4];
};
enum color { RED, GREEN = 7 } color;
struct node *list;
static int limit = 4;
__thread long local;

static inline __attribute__((always_inline)) int scale(int by)
{
    static int calls;
    return (calls += by) * limit;
}

int pool(int count)
{
    int total = 0;
    for (int index = 0; index < count; index++)
        total += scale(index) + color;
    return total + (int)local;
}
