/* Functions with locals, one of them inlined. */

__attribute__((noinline)) int sum(int *values, int count)
{
    int total = 0;
    for (int index = 0; index < count; index++)
        total += values[index];
    return total;
}

static inline __attribute__((always_inline)) int scale(int value, int by)
{
    int result = sum(&value, by);
    return result + by;
}

int main(int argc, char **argv)
{
    int values[2] = {scale(argc, 3), argv != 0};
    return sum(values, 2);
}
