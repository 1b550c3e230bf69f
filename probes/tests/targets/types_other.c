/* The other half of types.c. */
struct hidden {
    int found;
    int counter;
};

struct hidden hidden = {1, 2};
int elsewhere_only;
static int counter = 9;

int *other_counter(void)
{
    return &counter;
}
