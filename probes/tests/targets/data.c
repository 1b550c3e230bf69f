/* Variables of all kinds, whose addresses the program prints itself: one line
   "NAME ADDRESS" each, then "ready"; it ends when standard input does. */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int counter;
long initialised = 7;
unsigned char byte;
char text[3];
long limits[8];
static short file_static;
_Thread_local int per_thread;
const int constant = 5;
static int shared_name;

int *other_shared_name(void);

__attribute__((noinline)) int *bump(int by) {
    static int calls;
    calls += by;
    counter += by;
    file_static++;
    shared_name++;
    return &calls;
}

int main(void) {
    per_thread = *bump(1);
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("counter %p\n", (void *)&counter);
    printf("initialised %p\n", (void *)&initialised);
    printf("byte %p\n", (void *)&byte);
    printf("text %p\n", (void *)&text);
    printf("limits %p\n", (void *)&limits);
    printf("limits+16 %p\n", (void *)&limits[2]);
    printf("file_static %p\n", (void *)&file_static);
    printf("constant %p\n", (void *)&constant);
    printf("calls %p\n", (void *)bump(0));
    printf("shared_name %p\n", (void *)&shared_name);
    printf("shared_name@data.c %p\n", (void *)&shared_name);
    printf("shared_name@other.c %p\n", (void *)other_shared_name());
    printf("other_shared_name %p\n", (void *)other_shared_name());
    void *head = 0;
    size_t length;
    syscall(SYS_get_robust_list, 0, &head, &length);
    printf("robust_list %p\n", head);
    printf("per_thread %p\n", (void *)&per_thread);
    printf("stdout %p\n", (void *)&stdout);
    printf("bump %p\n", (void *)bump);
    printf("main %p\n", (void *)main);
    printf("printf %p\n", (void *)printf);
    puts("ready");
    while (getchar() != EOF) {
    }
    return 0;
}
