/* Has a file-local variable with the name of one in data.c. */
static int shared_name;
int *other_shared_name(void) {
    shared_name++;
    return &shared_name;
}
