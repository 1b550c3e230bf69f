/* A type that a compiler puts into a unit of its own, with nothing left where it is
 * used but its signature. */
struct alone {
    struct alone *self;
    struct {
        int numbers[2];
    } inside[3];
};

struct alone one, many[10];

int main(void) {
    return one.inside[0].numbers[1] + many[3].inside[1].numbers[0];
}
