/* Uses shelf.c in two threads; prints addresses as data.c does. */
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int shelf_books;
extern _Thread_local long shelf_reader[4];
long *shelf_of_this_thread(void);
int *page_of_this_thread(void);
int *hidden_shelf(void);

static _Thread_local char own_first[5];
static _Thread_local _Alignas(32) long own_aligned;
static pthread_barrier_t barrier;

static void print(const char *suffix) {
    void *head = 0;
    size_t length;
    syscall(SYS_get_robust_list, 0, &head, &length);
    printf("robust_list%s %p\n", suffix, head);
    printf("own_first%s %p\n", suffix, (void *)own_first);
    printf("own_aligned%s %p\n", suffix, (void *)&own_aligned);
}

static void *run(void *unused) {
    char suffix[32];
    snprintf(suffix, sizeof suffix, "@%d", (int)syscall(SYS_gettid));
    print(suffix);
    printf("thread %x\n", (unsigned)syscall(SYS_gettid));
    printf("shelf_reader%s %p\n", suffix, (void *)shelf_of_this_thread());
    printf("shelf_page%s %p\n", suffix, (void *)page_of_this_thread());
    pthread_barrier_wait(&barrier);
    pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    setvbuf(stdout, NULL, _IONBF, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, run, NULL);
    pthread_barrier_wait(&barrier);
    print("");
    printf("shelf_books %p\n", (void *)&shelf_books);
    printf("hidden_books %p\n", (void *)hidden_shelf());
    printf("shelf_reader %p\n", (void *)shelf_of_this_thread());
    printf("shelf_page %p\n", (void *)page_of_this_thread());
    puts("ready");
    while (getchar() != EOF) {
    }
    return 0;
}
