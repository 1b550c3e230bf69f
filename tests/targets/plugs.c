// Loads the library shelf.c at this path twice, the second time elsewhere, and uses it;
// lets some time pass before, in which watches are armed.
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAUSE_US = 400000, PAGE = 4096 };

static void *use(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        puts(dlerror());
        return 0;
    }
    usleep(PAUSE_US);
    void (*put)(long) = (void (*)(long))dlsym(library, "put");
    void (*take)(long) = (void (*)(long))dlsym(library, "take");
    for (long i = 0; i < 5; i++)
        put(100 + i);
    take(1);
    usleep(PAUSE_US);
    for (long i = 0; i < 4; i++)
        take(200 + i);
    void *place = dlsym(library, "stock");
    dlclose(library);
    return place;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 1;
    void *first = use(argv[1]);
    // Its place is taken.
    void *page = (void *)((unsigned long)first & ~(PAGE - 1UL));
    mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    void *second = use(argv[1]);
    puts(first != second ? "moved" : "same place");
    puts("bye");
    return 0;
}
