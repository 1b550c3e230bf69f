/* A library with variables of its own; see user.c. */
int shelf_books;
_Thread_local long shelf_reader[4] = {1, 2, 3, 4};
static _Thread_local int shelf_page = 9;
static int hidden_books;

long *shelf_of_this_thread(void) { return shelf_reader; }
int *page_of_this_thread(void) { return &shelf_page; }
int *hidden_shelf(void) { return &hidden_books; }
