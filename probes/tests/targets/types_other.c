/* The other half of types.c. */
struct hidden {
    int found;
    int counter;
};

__attribute__((used)) struct hidden hidden = {1, 2};
__attribute__((used)) int elsewhere_only;
int unused = 3;
__attribute__((used)) static int counter = 9;

int *other_counter(void)
{
    return &counter;
}
